"""The techniques: one file each, and here the one list of them, by the names of their sections in a recipe; and the
list of those that are chosen by other sections' keys.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

from ssgan.errors import Mistake
from ssgan.models import family_keys
from ssgan.settings import flatten
from ssgan.techniques.adversarial import Adversarial
from ssgan.techniques.augmentation import Augmentation
from ssgan.techniques.class_balance import ClassBalance
from ssgan.techniques.conditional_generator import ConditionalGenerator
from ssgan.techniques.consistency import Consistency
from ssgan.techniques.contrastive import Contrastive
from ssgan.techniques.diff_augment import DiffAugment
from ssgan.techniques.entropy import Entropy
from ssgan.techniques.feature_matching import FeatureMatching
from ssgan.techniques.gradient_penalty import GradientPenalty
from ssgan.techniques.historical_averaging import HistoricalAveraging
from ssgan.techniques.instance_noise import InstanceNoise
from ssgan.techniques.kplus1 import KPlus1
from ssgan.techniques.l1 import L1Penalty
from ssgan.techniques.l2 import L2Penalty
from ssgan.techniques.label_noise import LabelNoise
from ssgan.techniques.label_spreading import LabelSpreading
from ssgan.techniques.lecam import LeCam
from ssgan.techniques.loss_ratio import LossRatio
from ssgan.techniques.manifold import Manifold
from ssgan.techniques.pictures import Pictures
from ssgan.techniques.pull_away import PullAway
from ssgan.techniques.settings_entries import SETTINGS_ENTRIES
from ssgan.techniques.smoothing import LabelSmoothing
from ssgan.techniques.supervised import Supervised
from ssgan.techniques.technique import GENERATOR, Technique
from ssgan.techniques.virtual_adversarial import VirtualAdversarial

# Their terms are added, and what they measure is told, in this order.
TECHNIQUES: dict[str, type[Technique]] = {
    "gan": KPlus1,
    "smoothing": LabelSmoothing,
    "label_noise": LabelNoise,
    "instance_noise": InstanceNoise,
    "loss_ratio": LossRatio,
    "augment": Augmentation,
    "diff_augment": DiffAugment,
    "consistency": Consistency,
    "label_spreading": LabelSpreading,
    "contrastive": Contrastive,
    "class_balance": ClassBalance,
    "entropy": Entropy,
    "vat": VirtualAdversarial,
    "gradient_penalty": GradientPenalty,
    "lecam": LeCam,
    "manifold": Manifold,
    "feature_matching": FeatureMatching,
    "adversarial": Adversarial,
    "pull_away": PullAway,
    "conditional": ConditionalGenerator,
    "historical_averaging": HistoricalAveraging,
    "l1": L1Penalty,
    "l2": L2Penalty,
    "pictures": Pictures,
}


def key_of(name: str) -> str:
    """The key of a recipe by which a technique is on, or that chooses it; of the labelled loss its weight."""
    if name in SETTINGS_ENTRIES:
        return next(iter(SETTINGS_ENTRIES[name].off))
    return f"{name}.{TECHNIQUES[name].key}" if name in TECHNIQUES else "train.labelled_weight"


def active(recipe: Any) -> dict[str, Technique]:
    """The techniques of a recipe that are on, by name; first what every classifier learns from."""
    on = {name: getattr(recipe, name) for name in TECHNIQUES if getattr(recipe, name).is_on()}
    return {"supervised": Supervised(recipe.train.labelled_weight)} | {
        name: each for name, each in on.items() if all(other in on for other in each.requires)}


def draws_images(recipe: Any) -> bool:
    """Whether a generator is trained: the one that the discriminator knows, or a technique's own."""
    return any(GENERATOR in technique.parts or technique.generates for technique in active(recipe).values())


def told_classes(recipe: Any) -> bool:
    """Whether some generator is told the class of the image that it shall make."""
    return any(technique.gives_classes or technique.generates for technique in active(recipe).values())


def further(recipe: Any) -> dict[str, int]:
    """By name, the techniques whose own players are trained after the classifier, and in how many steps."""
    return {name: steps for name, technique in active(recipe).items() if (steps := technique.further_steps())}


def classifier_alone(recipe: Any) -> Any:
    """The recipe without what is trained after the classifier, which is the same without it."""
    return dataclasses.replace(recipe, **{name: getattr(recipe, name).off() for name in further(recipe)})


def without(recipe: Any, seen: Collection[str]) -> Any:
    """The recipe with every technique off that sees any of these: labelled, unlabelled, generated, weights."""
    off = {name: getattr(recipe, name).off() for name, technique in TECHNIQUES.items() if technique.sees & set(seen)}
    return dataclasses.replace(recipe, **off)


def check(recipe: Any, classes: int) -> None:
    """Raises Mistake where techniques that are on cannot be combined, ask for a layer or for classes that are not
    there, or leave the generator without a loss.
    """
    on = active(recipe)
    for name, technique in on.items():
        if classes < technique.least_classes:
            raise Mistake(f"[{name}] needs images of at least {technique.least_classes} classes, and these are of "
                          f"{classes}: try --set {name}.{technique.key}=0.")
        technique.check(recipe)
        for other, reason in technique.excludes.items():
            if other in on:
                raise Mistake(f"[{name}] and [{other}] cannot be combined: {reason}.\n"
                              f"Switch one of them off, for example --set {other}.{TECHNIQUES[other].key}=0.")
            if other in SETTINGS_ENTRIES and SETTINGS_ENTRIES[other].is_on(recipe):
                key, value = next(iter(SETTINGS_ENTRIES[other].off.items()))
                raise Mistake(f"[{name}] and {key} = {flatten(recipe)[key]} cannot be combined: {reason}.\n"
                              f"Switch one of them off, for example --set {key}={value}.")
        layers = len(recipe.model.widths)
        if missing := [layer for layer in technique.hidden() if layer > layers]:
            raise Mistake(f"[{name}] asks for hidden layer {missing[0]} of the discriminator, which has {layers}, as "
                          f"many as model.widths.\nName layers from 1 to {layers}.")
    _check_labels(recipe, on)
    _check_layers(recipe)
    if any("generated" in part for technique in on.values() for part in technique.parts.values()):
        _check_generator(recipe, on)


def _check_labels(recipe: Any, on: dict[str, Technique]) -> None:
    """Without labels there must be a generator to score, and nothing that learns from them."""
    if recipe.train.labelled_weight:
        return
    if not draws_images(recipe):
        raise Mistake("train.labelled_weight = 0 leaves nothing to train: there is no generator to score either.\n"
                      "Set gan.weight above 0, or train.labelled_weight = 1.")
    for name, technique in on.items():
        if name != "supervised" and "labelled" in technique.sees:
            raise Mistake(f"[{name}] learns from labels, which train.labelled_weight = 0 leaves out:\nset "
                          f"{name}.{technique.key} = 0, or train.labelled_weight = 1.")


def _check_layers(recipe: Any) -> None:
    """The layers can be had together, in these families and batches."""
    family_keys.check(recipe.model)
    if recipe.model.family == "airbench" and recipe.train.initialise_images == 0:
        raise Mistake("model.family = airbench finds its whitening on the images of the data-dependent initialisation, "
                      "and train.initialise_images is 0:\nset it to 500, or another model.family.")
    if recipe.model.minibatch_kernels and recipe.train.labelled_images < 2:
        raise Mistake("model.minibatch_kernels compares the labelled images of a step, of which there is one: "
                      "set train.labelled_share higher.")
    if recipe.model.norm == "batch" and recipe.train.labelled_images < 2:
        raise Mistake("model.norm = batch takes the mean of the labelled images of a step, of which there is one: "
                      "set train.labelled_share higher, or model.norm = virtual.")
    if recipe.model.minibatch_kernels and recipe.model.norm == "virtual":
        raise Mistake("model.minibatch_kernels and model.norm = virtual cannot be combined: the reference batch would "
                      "be among the images\nthat an image is compared with. Set model.norm = weight, or "
                      "model.minibatch_kernels = 0.")
    joint = recipe.model.norm == "batch" and recipe.model.norm_batches == "joint"
    if recipe.model.minibatch_kernels and joint:
        raise Mistake("model.minibatch_kernels and model.norm_batches = joint cannot be combined: images would be "
                      "compared with those of the other kind.\nSet model.norm_batches = apart, or "
                      "model.minibatch_kernels = 0.")


def _check_generator(recipe: Any, on: dict[str, Technique]) -> None:
    """It has a loss, and a discriminator to learn against."""
    if not any(GENERATOR in technique.parts and technique.adds_term for technique in on.values()):
        raise Mistake("the generator has no loss: set feature_matching.weight, adversarial.weight or "
                      "pull_away.weight above 0,\nor gan.weight = 0 to train without one.")
    looked_at = {part for technique in on.values() for part in technique.parts.get(GENERATOR, ())}
    if recipe.model.norm == "batch" and recipe.model.norm_batches == "joint" and "unlabelled" not in looked_at:
        raise Mistake("model.norm_batches = joint normalises generated images with unlabelled ones, at which no loss "
                      "of the generator looks:\nset feature_matching.weight or adversarial.weight above 0, or "
                      "model.norm_batches = apart.")
    if recipe.train.generator_against == "average" and recipe.train.averaging == "zero-start":
        raise Mistake("train.generator_against = average and train.averaging = zero-start cannot be combined: averages "
                      "from zero are no network at the start.\nSet train.averaging = corrected, or "
                      "train.generator_against = last.")
