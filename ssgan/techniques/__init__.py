"""The techniques: one file each, and here the one list of them, by the names of their sections in a recipe."""

import dataclasses
from collections.abc import Collection
from typing import Any

from ssgan.errors import Mistake
from ssgan.techniques.augmentation import Augmentation
from ssgan.techniques.class_balance import ClassBalance
from ssgan.techniques.conditional_generator import ConditionalGenerator
from ssgan.techniques.consistency import Consistency
from ssgan.techniques.entropy import Entropy
from ssgan.techniques.feature_matching import FeatureMatching
from ssgan.techniques.gradient_penalty import GradientPenalty
from ssgan.techniques.historical_averaging import HistoricalAveraging
from ssgan.techniques.kplus1 import KPlus1
from ssgan.techniques.pull_away import PullAway
from ssgan.techniques.supervised import Supervised
from ssgan.techniques.technique import GENERATOR, Technique
from ssgan.techniques.virtual_adversarial import VirtualAdversarial

# Their terms are added, and what they measure is told, in this order.
TECHNIQUES: dict[str, type[Technique]] = {
    "gan": KPlus1,
    "augment": Augmentation,
    "consistency": Consistency,
    "class_balance": ClassBalance,
    "entropy": Entropy,
    "vat": VirtualAdversarial,
    "gradient_penalty": GradientPenalty,
    "feature_matching": FeatureMatching,
    "pull_away": PullAway,
    "conditional": ConditionalGenerator,
    "historical_averaging": HistoricalAveraging,
}


def active(recipe: Any) -> dict[str, Technique]:
    """The techniques of a recipe that are on, by name; first what every classifier learns from."""
    on = {name: getattr(recipe, name) for name in TECHNIQUES if getattr(recipe, name).is_on()}
    return {"supervised": Supervised()} | {name: each
                                           for name, each in on.items() if all(other in on for other in each.requires)}


def without(recipe: Any, seen: Collection[str]) -> Any:
    """The recipe with every technique off that sees any of these: labelled, unlabelled, generated, weights."""
    off = {name: getattr(recipe, name).off() for name, technique in TECHNIQUES.items() if technique.sees & set(seen)}
    return dataclasses.replace(recipe, **off)


def check(recipe: Any) -> None:
    """Raises Mistake where techniques that are on cannot be combined, ask for a layer that is not there, or leave the
    generator without a loss.
    """
    on = active(recipe)
    for name, technique in on.items():
        for other, reason in technique.excludes.items():
            if other in on:
                raise Mistake(f"[{name}] and [{other}] cannot be combined: {reason}.\n"
                              f"Switch one of them off, for example --set {other}.{TECHNIQUES[other].key}=0.")
        layers = len(recipe.model.widths)
        if missing := [layer for layer in technique.hidden() if layer > layers]:
            raise Mistake(f"[{name}] asks for hidden layer {missing[0]} of the discriminator, which has {layers}, as "
                          f"many as model.widths.\nName layers from 1 to {layers}.")
    if any("generated" in part for technique in on.values() for part in technique.parts.values()):
        if not any(GENERATOR in technique.parts for technique in on.values()):
            raise Mistake("the generator has no loss: set feature_matching.weight or pull_away.weight above 0,\n"
                          "or gan.weight = 0 to train without one.")
