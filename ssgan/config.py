"""The settings of a recipe: frozen dataclasses, validated once at the door."""

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_args, get_origin

from ssgan.errors import Mistake, unknown


def number(default: float, low: float, high: float, text: str) -> Any:
    """A numeric key with its allowed range."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def numbers(default: tuple, low: float, high: float, text: str) -> Any:
    """A key that is a list of numbers, each in the allowed range."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def choice(default: str, allowed: tuple[str, ...], text: str) -> Any:
    """A key with a fixed set of words."""
    return field(default=default, metadata={"allowed": allowed, "help": text})


def switch(default: bool, text: str) -> Any:
    """A key that is true or false."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class SplitConfig:
    """Which images are labelled, unlabelled and held out."""

    pool: str = choice("inclusive", ("inclusive", "exclusive"), "labelled images inside the unlabelled pool, or outside")
    validation: int = number(0, 0, 10_000_000, "images held out of the training images, for tuning and the monitor")


@dataclass(frozen=True)
class ModelConfig:
    """The pair of networks; what widths mean is said by the family's file in models/."""

    family: str = choice("mlp", ("mlp", "conv"), "the family of the pair, a file in models/")
    generator: str = choice("family", ("family", "mlp", "conv"), "the generator's family; family is that of the pair")
    widths: tuple[int, ...] = numbers((1000, 500, 250, 250, 250), 1, 16384, "hidden widths of the discriminator")
    generator_widths: tuple[int, ...] = numbers((500, 500), 1, 16384, "hidden widths of the generator")
    strides: tuple[int, ...] = numbers((1, 2), 1, 4, "strides of the discriminator's convolutions, repeated as often as needed")
    pooling: str = choice("mean", ("mean", "none"), "how the last convolution's map becomes features: by its mean, or as it is")
    latent: int = number(100, 1, 16384, "numbers in the latent vector, uniform on [0, 1)")
    initial_scale: float = number(0.1, 1e-6, 10, "standard deviation of the discriminator's first weights")
    output: str = choice("normalised", ("normalised", "plain"), "the classifier's last layer: with weight norm as in the paper, or without")
    output_scale: float = number(1.0, 1e-6, 100, "standard deviation of the classifier's first logits, over images")
    input_noise: float = number(0.3, 0, 100, "standard deviation of the Gaussian noise on the input")
    hidden_noise: float = number(0.5, 0, 100, "standard deviation of the Gaussian noise after each hidden layer")


@dataclass(frozen=True)
class GanConfig:
    """The generator's part in the classifier."""

    weight: float = number(1.0, 0, 1000, "weight of the unlabelled K+1 loss; 0 trains without a generator")
    pull_away: float = number(0.0, 0, 1000, "weight of the loss for generated images that differ from one another, beside feature matching; 0 is off")


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation, in epochs of the full pool's length."""

    epochs: float = number(300.0, 0.001, 100_000, "epochs, each of the full pool's length whatever the budget")
    batch: int = number(100, 2, 65536, "unlabelled images in a step; as many labelled and generated ones, where no other share is given")
    labelled_share: float = number(1.0, 0.001, 1, "labelled images in a step, as a share of batch")
    generated_share: float = number(1.0, 0.001, 1, "generated images in a step, as a share of batch")
    learning_rate: float = number(0.003, 1e-9, 10, "Adam's learning rate")
    schedule: str = choice("constant", ("constant", "linear", "cosine"), "learning rate: constant, or decayed to zero")
    decay_from: float = number(0.0, 0, 1, "share of the run after which the decay begins")
    beta1: float = number(0.5, 0, 0.9999, "Adam's beta1")
    beta2: float = number(0.999, 0.001, 0.999999, "Adam's beta2")
    epsilon: float = number(1e-8, 1e-16, 1, "Adam's epsilon")
    adam: str = choice("standard", ("standard", "authors"), "epsilon outside the root, or inside it as the authors have it")
    averaging: str = choice("corrected", ("corrected", "zero-start"), "averaged weights: bias-corrected, or from zero as the authors")
    averaging_rate: float = number(0.0001, 1e-7, 1, "share of the newest weights in the average, each step")
    initialise_images: int = number(500, 2, 65536, "images of the data-dependent initialisation")
    precision: str = choice("auto", ("auto", "fp32", "bf16"), "type of the products; auto is the fastest sound one here")
    compile: str = choice("auto", ("auto", "yes", "no"), "a CPU's step by torch's compiler, which needs a C++ compiler; auto for many steps")

    @property
    def labelled_images(self) -> int:
        """Labelled images in a step."""
        return max(1, round(self.labelled_share * self.batch))

    @property
    def generated_images(self) -> int:
        """Generated images in a step; the generator's batch norm takes its statistics over them, and so needs two."""
        return max(2, round(self.generated_share * self.batch))


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the shape of every real image, drawn uniformly between minus and plus the value."""

    shift: float = number(0.0, 0, 100, "pixels, in each direction")
    rotation: float = number(0.0, 0, 180, "degrees")
    scale: float = number(0.0, 0, 0.9, "share: 0.1 is 90 % to 110 %")
    shear: float = number(0.0, 0, 80, "degrees")
    elastic: float = number(0.0, 0, 100, "pixels by which a lattice of 5x5 points is displaced, with a smooth warp between")
    end: float = number(1.0, 0, 1, "share of all these at the end of the run; they shrink to it in a line, from train.decay_from on")


@dataclass(frozen=True)
class ConsistencyConfig:
    """The averaged classifier's confident answers on plain unlabelled images, taught on augmented ones."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    threshold: float = number(0.95, 0, 1, "least probability of an answer that is taught")
    start: float = number(0.1, 0, 1, "share of the run before the loss begins")
    balance: float = number(0.0, 0, 1000, "weight of the loss for answers that fall on all classes equally often; 0 is off")
    entropy: float = number(0.0, 0, 1000, "weight of the loss for answers to unlabelled images that are sure; 0 is off")


@dataclass(frozen=True)
class VatConfig:
    """Virtual adversarial training (Miyato et al. 2018): answers must not change under the small change of an image that moves them most."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    epsilon: float = number(2.0, 1e-6, 1000, "length of the change: its root of summed squares over the pixels, which are 0 to 1")
    share: float = number(0.5, 0.001, 1, "images in the loss, as a share of the unlabelled ones in a step")


@dataclass(frozen=True)
class EvaluateConfig:
    """What the classifier is compared with."""

    supervised: bool = switch(True, "train the same network on the labelled images alone")
    gan_off: bool = switch(True, "train the same recipe with gan.weight = 0, to see what the generator brings")
    classical: bool = switch(True, "scikit-learn's LabelSpreading and SelfTrainingClassifier")


@dataclass(frozen=True)
class ScoreConfig:
    """How generated images are scored."""

    samples: int = number(10_000, 10, 10_000_000, "generated images in the Inception Score")
    splits: int = number(10, 1, 1000, "parts, over which the score's mean and standard deviation are taken")
    generator: str = choice("average", ("average", "last"), "averaged weights of the generator, or the last ones")


@dataclass(frozen=True)
class Recipe:
    """One file under pipelines/: what to do, and the evidence that it works."""

    dataset: str = field(default="digits", metadata={"help": "name of the data set"})
    labels: int = number(100, 1, 100_000_000, "label budget: labelled images over all classes")
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    gan: GanConfig = GanConfig()
    train: TrainConfig = TrainConfig()
    augment: AugmentConfig = AugmentConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()
    vat: VatConfig = VatConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    score: ScoreConfig = ScoreConfig()


def parse(text: str, where: str) -> Recipe:
    """The recipe in a TOML text; `[evidence]` is left aside. Raises Mistake, naming `where`."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits too
        raise Mistake(f"{where} is not valid TOML: {error}.") from None
    table.pop("evidence", None)
    return build(table, where)


def build(table: dict[str, Any], where: str) -> Recipe:
    """A validated recipe from nested tables. Raises Mistake, naming `where`."""
    return _build(Recipe, table, where, "")


def override(recipe: Recipe, assignments: list[str], option: str = "--set") -> Recipe:
    """The recipe with each `a.b=value` put in, which an option of that name said; values are written as in TOML, words without quotes."""
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise Mistake(f"{option} {assignment}: write it as key=value, for example {option} train.epochs=20.")
        path = key.strip().split(".")
        table = as_table(recipe)
        inner = table
        for i, part in enumerate(path[:-1]):
            if not isinstance(inner.get(part), dict):
                raise unknown("recipe key", key.strip(), keys())
            inner = inner[part]
        if path[-1] not in inner or isinstance(inner[path[-1]], dict):
            raise unknown("recipe key", key.strip(), keys())
        inner[path[-1]] = _value(text.strip())
        recipe = build(table, f"{option} {assignment}")
    return recipe


def as_table(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dicts, lists and scalars: the inverse of `build`."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def flatten(recipe: Recipe) -> dict[str, Any]:
    """Every key of the recipe in dotted form with its value: `{"train.epochs": 300, ...}`."""
    return dict(_flatten(as_table(recipe), ""))


def keys() -> list[str]:
    """Every dotted key that a recipe may have."""
    return list(flatten(Recipe()))


def describe() -> dict[str, str]:
    """Every dotted key with its one-line meaning."""
    return dict(_describe(Recipe, ""))


def fingerprint(settings: dict[str, Any]) -> str:
    """16 hex digits that are equal exactly when the settings are."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _flatten(table: dict[str, Any], prefix: str):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _describe(cls: type, prefix: str):
    for item in fields(cls):
        if is_dataclass(item.type):
            yield from _describe(item.type, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item.metadata["help"]


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _build(cls: type, table: Any, where: str, prefix: str) -> Any:
    if not isinstance(table, dict):
        raise Mistake(f"{where}: {prefix.rstrip('.')} must be a table of keys, found {table!r}.")
    known = {item.name: item for item in fields(cls)}
    for name in table:
        if name not in known:
            mistake = unknown("recipe key", prefix + name, [prefix + other for other in known])
            raise Mistake(f"{where}: {mistake}")
    values = {}
    for name, value in table.items():
        item = known[name]
        if is_dataclass(item.type):
            values[name] = _build(item.type, value, where, f"{prefix}{name}.")
        else:
            values[name] = _check(item, value, where, prefix + name)
    return cls(**values)


def _check(item: dataclasses.Field, value: Any, where: str, key: str) -> Any:
    if get_origin(item.type) is tuple:
        if not isinstance(value, list | tuple) or not value or len(value) > 64:
            raise Mistake(f"{where}: {key} must be a list of 1 to 64 numbers, found {value!r}; {item.metadata['help']}.")
        kind = get_args(item.type)[0]
        return tuple(_number(kind, item, entry, where, key) for entry in value)
    if item.type in (int, float):
        return _number(item.type, item, value, where, key)
    if not isinstance(value, item.type):
        wanted = {bool: "true or false", str: "a word"}[item.type]
        raise Mistake(f"{where}: {key} must be {wanted}, found {value!r}; {item.metadata['help']}.")
    allowed = item.metadata.get("allowed")
    if allowed and value not in allowed:
        raise Mistake(f"{where}: {key} must be one of {', '.join(allowed)}, found {value!r}.")
    return value


def _number(kind: type, item: dataclasses.Field, value: Any, where: str, key: str) -> Any:
    low, high = item.metadata["low"], item.metadata["high"]
    sound = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not sound or (kind is int and value != int(value)):
        wanted = "a whole number" if kind is int else "a number"
        raise Mistake(f"{where}: {key} must be {wanted} from {low:g} to {high:g}, found {value!r}; {item.metadata['help']}.")
    return kind(value) + 0  # -0.0 is 0.0, in the fingerprint too
