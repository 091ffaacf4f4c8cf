"""The activations of hidden layers, by the recipe."""

import functools
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from ssgan.models.functional import Softplus

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus": Softplus.apply, "relu": functional.relu,
    "leaky": functools.partial(functional.leaky_relu, negative_slope=0.2),
    "leaky 0.1": functools.partial(functional.leaky_relu, negative_slope=0.1)}


def activation(name: str, family: str) -> Callable[[Tensor], Tensor]:
    """`model.activation` or `model.generator_activation`: that of the name, or the family's own; elementwise."""
    return ACTIVATIONS[family if name == "family" else name]
