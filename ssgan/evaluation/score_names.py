"""The names of scores: those that older versions have written, read under today's, and told beside them."""

from collections.abc import Mapping
from typing import Any

OLD_NAMES = {"frechet_distance": "fid", "frechet_distance_real": "fid_real"}  # today's by what it was once called


def today(scores: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Scores, or measurements whose names begin with a prefix, under today's names, whoever has written them."""
    old = {prefix + name: prefix + new for name, new in OLD_NAMES.items()}
    found = {old.get(name, name): value for name, value in scores.items()}
    if "generators" in found:
        found["generators"] = {name: today(one) for name, one in found["generators"].items()}
    return found


def with_old_names(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores under today's names and their older ones, for programs that were written for these."""
    return dict(scores) | {old: scores[new] for old, new in OLD_NAMES.items() if new in scores}
