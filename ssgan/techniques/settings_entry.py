"""`SettingsEntry`: a trick of the literature that is no loss, but a layer, the optimiser or the latent, chosen by keys
of [model] and [train].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ssgan.settings import flatten


@dataclass(frozen=True)
class SettingsEntry:
    """Its page, and by which keys it is on."""

    page: str  # what, why, equation, cost, source
    keys: tuple[str, ...]  # dotted, all that choose or shape it
    off: Mapping[str, Any]  # the values of keys without it, all of them at once
    on: Mapping[str, Any] = field(default_factory=dict)  # by key the one value by which it is on, where it has several
    sees: frozenset[str] = frozenset({"weights"})  # of technique.SEEN

    def is_on(self, recipe: Any) -> bool:
        """Whether any of its keys has another value than without it, or the one by which it is on."""
        values = flatten(recipe)
        return any(values[key] == self.on[key] if key in self.on else values[key] != value
                   for key, value in self.off.items())
