"""`Recipe`: the settings of a run."""

import math
from dataclasses import dataclass, field
from typing import Any

from ssgan import settings
from ssgan.data.splits import SplitConfig
from ssgan.models.settings import ModelConfig
from ssgan.settings import choice, flatten, flatten_table, number, switch
from ssgan.techniques.adversarial import Adversarial
from ssgan.techniques.augmentation import Augmentation
from ssgan.techniques.class_balance import ClassBalance
from ssgan.techniques.conditional_generator import ConditionalGenerator
from ssgan.techniques.consistency import Consistency
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
from ssgan.techniques.manifold import Manifold
from ssgan.techniques.pictures import Pictures
from ssgan.techniques.pull_away import PullAway
from ssgan.techniques.smoothing import LabelSmoothing
from ssgan.techniques.virtual_adversarial import VirtualAdversarial

SCHEMA = 2  # of the fingerprint: to be raised where a key's default, or what a value means, changes
SAME_SINCE = 1  # the first schema whose values mean what they do today: to be raised with it where a meaning changes
WAS: dict[str, Any] = {}  # what a key stood at in runs from before it was there, where that is not its default any more
RENAMED = {  # today's key by its old name: in recipes, in --set and --grid, in work folders and stores
    "consistency.balance": "class_balance.weight",
    "consistency.entropy": "entropy.weight",
    "gan.pull_away": "pull_away.weight",
}


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation, in epochs of the full pool's length."""

    epochs: float = number(300.0, 0.001, 100_000, "epochs, each of the full pool's length whatever the budget")
    least_steps: int = number(0, 0, 100_000_000, "steps that are made at least, where the epochs have fewer")
    most_steps: int = number(0, 0, 100_000_000, "steps that are made at most; 0 is as many as the epochs have")
    batch: int = number(100, 2, 65536, "unlabelled images in a step; as many labelled and generated ones, where no "
                                       "other share is given")
    labelled_share: float = number(1.0, 0.001, 1, "labelled images in a step, as a share of batch")
    generated_share: float = number(1.0, 0.001, 1, "generated images in a step, as a share of batch")
    learning_rate: float = number(0.003, 1e-9, 10, "Adam's learning rate")
    generator_learning_rate: float = number(0.0, 0, 10,
                                            "the generator's own (two time scales: Heusel et al. 2017); 0 is all's")
    discriminator_updates: int = number(1, 1, 5,
                                        "updates of the discriminator in a step, each with images and noise of its own")
    generator_updates: int = number(1, 1, 5, "updates of the generator in a step, likewise")
    clip: float = number(0.0, 0, 1e6, "longest gradient of a network, by its root of summed squares; 0 is any")
    schedule: str = choice("constant", ("constant", "linear", "cosine"), "learning rate: constant, or decayed to zero")
    decay_from: float = number(0.0, 0, 1, "share of the run after which the decay begins")
    beta1: float = number(0.5, 0, 0.9999, "Adam's beta1")
    beta2: float = number(0.999, 0.001, 0.999999, "Adam's beta2")
    epsilon: float = number(1e-8, 1e-16, 1, "Adam's epsilon")
    adam: str = choice("standard", ("standard", "authors"), "epsilon outside the root, or inside it as the authors "
                                                            "have it")
    averaging: str = choice("corrected", ("corrected", "zero-start"), "averaged weights: bias-corrected, or from zero "
                                                                      "as the authors")
    averaging_rate: float = number(0.0001, 1e-7, 1, "share of the newest weights in the average, each step")
    initialise_images: int = number(500, 2, 65536, "images of the data-dependent initialisation")
    precision: str = choice("auto", ("auto", "fp32", "bf16"), "type of the products; auto is the fastest sound one "
                                                              "here")
    compile: str = choice("auto", ("auto", "yes", "no"), "a CPU's step by torch's compiler, which needs a C++ "
                                                         "compiler; auto for many steps")

    def steps_of(self, steps_per_epoch: float) -> int:
        """Steps in all, where an epoch has so many."""
        steps = max(self.least_steps, math.ceil(round(self.epochs * steps_per_epoch, 6)))
        return max(1, min(steps, self.most_steps or steps))

    @property
    def labelled_images(self) -> int:
        """Labelled images in a step."""
        return max(1, round(self.labelled_share * self.batch))

    @property
    def generated_images(self) -> int:
        """Generated images in a step; the generator's batch norm takes its statistics over them, and so needs two."""
        return max(2, round(self.generated_share * self.batch))


@dataclass(frozen=True)
class EvaluateConfig:
    """What the classifier is compared with."""

    supervised: bool = switch(True, "train the same network on the labelled images alone")
    gan_off: bool = switch(True, "train the same recipe with gan.weight = 0, to see what the generator brings")
    classical: bool = switch(True, "scikit-learn's LabelSpreading and SelfTrainingClassifier")


@dataclass(frozen=True)
class ScoreConfig:
    """How generated images are scored."""

    samples: int = number(10_000, 10, 10_000_000, "generated images in the Inception Score and the Fréchet distance")
    splits: int = number(10, 1, 1000, "parts, over which the score's mean and standard deviation are taken")
    generator: str = choice("average", ("average", "last"), "averaged weights of the generator, or the last ones")
    train_images: int = number(50_000, 0, 10_000_000, "generated images that a network is trained on alone, where the "
                                                      "generator is told classes; 0 is off")
    train_epochs: int = number(10, 1, 10_000, "epochs of so many images in each such training")
    trainings: int = number(3, 1, 100, "such trainings, over which the test error's mean is taken")


@dataclass(frozen=True)
class Recipe:
    """One file under pipelines/: what to do, and the evidence that it works."""

    dataset: str = field(default="digits", metadata={"help": "name of the data set, or folder:PATH or "
                                                                   "npz:FILE for one's own"})
    labels: int = number(100, 0, 100_000_000, "label budget: labelled images over all classes; 0 is all labels that "
                                              "there are")
    image_size: int = number(0, 0, 1024, "pixels a side of images from a folder; 0 is found by looking")
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    gan: KPlus1 = KPlus1()
    smoothing: LabelSmoothing = LabelSmoothing()
    label_noise: LabelNoise = LabelNoise()
    instance_noise: InstanceNoise = InstanceNoise()
    train: TrainConfig = TrainConfig()
    augment: Augmentation = Augmentation()
    consistency: Consistency = Consistency()
    label_spreading: LabelSpreading = LabelSpreading()
    class_balance: ClassBalance = ClassBalance()
    entropy: Entropy = Entropy()
    vat: VirtualAdversarial = VirtualAdversarial()
    feature_matching: FeatureMatching = FeatureMatching()
    adversarial: Adversarial = Adversarial()
    pull_away: PullAway = PullAway()
    gradient_penalty: GradientPenalty = GradientPenalty()
    manifold: Manifold = Manifold()
    conditional: ConditionalGenerator = ConditionalGenerator()
    historical_averaging: HistoricalAveraging = HistoricalAveraging()
    l1: L1Penalty = L1Penalty()
    l2: L2Penalty = L2Penalty()
    pictures: Pictures = Pictures()
    evaluate: EvaluateConfig = EvaluateConfig()
    score: ScoreConfig = ScoreConfig()


def parse(text: str, where: str) -> Recipe:
    """The recipe in a TOML text; `[evidence]` is left aside. Raises Mistake, naming `where`."""
    table = settings.read_toml(text, where)
    table.pop("evidence", None)
    for key in flatten_table(table):
        today(key)
    return build(table, where)


def build(table: dict[str, Any], where: str) -> Recipe:
    """A validated recipe from nested tables. Raises Mistake, naming `where`."""
    return settings.build(Recipe, table, where, RENAMED)


def override(recipe: Recipe, assignments: list[str], option: str = "--set") -> Recipe:
    """The recipe with each `a.b=value` put in, which an option of that name said; values are written as in TOML, words
    without quotes.
    """
    return settings.override(recipe, assignments, option, RENAMED)


def today(key: str) -> str:
    """Today's name of a key that a person has written."""
    return settings.today(key, RENAMED)


def unsaid() -> dict[str, Any]:
    """Every dotted key with the value that it had in runs from before it was there."""
    return flatten(Recipe()) | WAS


def keys() -> list[str]:
    """Every dotted key that a recipe may have."""
    return list(flatten(Recipe()))


def describe() -> dict[str, str]:
    """Every dotted key with its one-line meaning."""
    return settings.describe(Recipe)
