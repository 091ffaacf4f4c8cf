"""`Split`: which images are labelled, unlabelled, validation and test."""

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ssgan.data.dataset import Dataset
from ssgan.data.own_data import is_own
from ssgan.errors import Mistake, unknown
from ssgan.files import replacing
from ssgan.random_streams import numpy_generator
from ssgan.settings import choice, number

POOLS = ("inclusive", "exclusive")
BALANCES = ("auto", "balanced", "proportional")
PARTS = ("labelled", "unlabelled", "validation", "test")

# what numpy and zipfile raise on a damaged file; RuntimeError is for a broken flag that asks for a password
DAMAGE = (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile,
          zlib.error)


@dataclass(frozen=True)
class SplitConfig:
    """The recipe's [split] section: which images are labelled, unlabelled and held out."""

    pool: str = choice("inclusive", POOLS, "labelled images inside the unlabelled pool, or outside")
    validation: int = number(0, 0, 10_000_000, "images held out of the training images, for tuning and the monitor")
    balance: str = choice("auto", BALANCES, "a budget's classes: as many labels of each, or as frequent as among the "
                                            "known labels; auto is balanced, for folders and npz proportional")


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted int64 index tables into `dataset.train` (test: into `dataset.test`), with what they were made from."""

    labelled: np.ndarray
    unlabelled: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    labels: int  # the budget: labelled images over all classes
    split_seed: int
    pool: str
    dataset: str
    data_sha256: str

    def summary(self) -> dict[str, int]:
        """The number of images in each part."""
        return {part: len(getattr(self, part)) for part in PARTS}

    def save(self, path: Path) -> None:
        """Writes the split as .npz, whole or not at all: equal splits give equal bytes. Raises Mistake."""
        with replacing(path) as file:
            np.savez(file, **{item.name: np.asarray(getattr(self, item.name)) for item in fields(self)})

    def verify(self, dataset: Dataset) -> None:
        """Raises Mistake when the data is not the data that the split was made from, or the tables do not fit it."""
        if dataset.sha256 != self.data_sha256:
            raise Mistake(
                f"the split was made from {self.dataset} with SHA-256 {self.data_sha256[:16]}, "
                f"this is {dataset.name} with {dataset.sha256[:16]}: use the split's own data, or make a new split."
            )
        for part in PARTS:
            n = len((dataset.test or ()) if part == "test" else dataset.train)
            table = getattr(self, part)
            if len(table) and (table[0] < 0 or table[-1] >= n or np.any(np.diff(table) <= 0)):
                raise Mistake(
                    f"the split's {part} table is damaged: it must be sorted, without repeats, from 0 to {n - 1}. Make "
                    f"a new split."
                )
        if np.isin(self.validation, np.concatenate([self.labelled, self.unlabelled])).any():
            raise Mistake("the split's tables are damaged: validation images are among those to train on. Make a new "
                          "split.")


def load(path: Path) -> Split:
    """The split saved at `path`. Raises Mistake when there is none or it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
            values = {item.name: _value(item.name, item.type, saved[item.name]) for item in fields(Split)}
    except FileNotFoundError:
        raise Mistake(f"there is no split at {path}.") from None
    except DAMAGE as error:
        raise _broken(path, error) from None
    return Split(**values)


def make_split(dataset: Dataset, labels: int, split_seed: int, config: SplitConfig = SplitConfig()) -> Split:
    """The split of a budget: a function of the training labels and the other arguments alone. Raises Mistake.

    Each class is permuted once by the split seed. Its first images are labelled: labels / k of each class in a balanced
    budget, so that a smaller budget's labelled images are among a larger one's of the same seed (in a proportional one
    up to an image of a class, which rounding may take from it). Its last ones are for validation, in proportion to the
    classes, whatever the budget. All other training images are unlabelled; the labelled ones are too when the pool is
    inclusive. Images of unknown class (-1) are only ever unlabelled, and never in the test.
    """
    of_train = dataset.train.labels.cpu().numpy()  # [n]
    members = [np.flatnonzero(of_train == label) for label in range(len(dataset.classes))]
    each, held_out = check_budget(dataset, labels, config)  # [k], [k]
    orders = [numpy_generator(split_seed, "split", label).permutation(images) for label, images in enumerate(members)]
    labelled = np.sort(np.concatenate([order[:count] for order, count in zip(orders, each, strict=True)]))
    lasts = [order[len(order) - count :] for order, count in zip(orders, held_out, strict=True)]
    kept_back = np.sort(np.concatenate(lasts))
    apart = kept_back if config.pool == "inclusive" else np.concatenate([kept_back, labelled])
    unlabelled = np.setdiff1d(np.arange(len(of_train)), apart)
    test = dataset.test.known.numpy() if dataset.tested else np.zeros(0, dtype=np.int64)
    return Split(labelled, unlabelled, kept_back, test, int(labels), int(split_seed), config.pool, dataset.name,
                 dataset.sha256)


def is_proportional(dataset: Dataset, config: SplitConfig) -> bool:
    """Whether a budget has classes as often as they are, and not as many labels of each. Raises Mistake."""
    if config.balance not in BALANCES:
        raise unknown("split.balance", config.balance, BALANCES)
    return config.balance == "proportional" or (config.balance == "auto" and is_own(dataset.name))


def check_budget(dataset: Dataset, labels: int, config: SplitConfig = SplitConfig()) -> tuple[np.ndarray, np.ndarray]:
    """How many images of each class [k] are labelled, and how many are held out for validation. Raises Mistake for a
    budget that the data cannot give.

    Cheap: what `make_split` would refuse is found here, before anything is made or written.
    """
    if config.pool not in POOLS:
        raise unknown("split.pool", config.pool, POOLS)
    shares = _Shares(_class_sizes(dataset), is_proportional(dataset, config))
    _check_labels(dataset, labels, shares)
    validation = config.validation
    if validation < 0:
        raise Mistake(f"split.validation {validation}: it is a number of images, from 0 on; try --set "
                      f"split.validation=0.")
    held_out = shares.held_out(validation)  # [k]
    labelled = shares.labelled(labels, held_out)  # [k]
    if np.any(labelled + held_out > shares.sizes) or held_out.sum() < validation:
        left = shares.most_labels(held_out)
        fewer = f", or --labels {left}" if left > 0 and held_out.sum() == validation else ""
        raise Mistake(
            f"--labels {labels} and split.validation {validation} are too many together for the {shares.sizes.sum()} "
            f"training images of {dataset.name}; try --set split.validation={shares.room(labels)}{fewer}."
        )
    left_over = len(dataset.train) - int(held_out.sum()) - (labels if config.pool == "exclusive" else 0)
    if left_over < 1:
        raise Mistake(
            f"--labels {labels}: all {len(dataset.train)} training images of {dataset.name} are labelled or held out, "
            f"none is left unlabelled; take fewer labels or --set split.pool=inclusive."
        )
    return labelled, held_out


def _check_labels(dataset: Dataset, labels: int, shares: "_Shares") -> None:
    """Raises Mistake for a number of labels that the classes cannot give, whatever is held out."""
    sizes, k = shares.sizes, len(shares.sizes)
    said = f"--labels {labels}: {dataset.name} has {k} classes"
    smallest = int(sizes.argmin())
    scarce = repr(dataset.classes[smallest])
    if sizes[smallest] == 0:
        none = "no budget has a label of each" if shares.proportional else "no budget is balanced"
        raise Mistake(f"{said}, and no training image of class {scarce}: {none}.")
    if labels <= 0:
        raise Mistake(f"{said}, a budget has at least one label of each; try --labels {10 * k}.")
    if shares.proportional:
        if labels < k:
            raise Mistake(f"{said}, a budget has at least one label of each; try --labels {k}.")
        if labels > sizes.sum():
            raise Mistake(f"{said} and {sizes.sum()} training images of known class: the largest budget is --labels "
                          f"{sizes.sum()}.")
        return
    most = k * int(sizes.min())
    if labels % k:
        near = [budget for budget in (labels // k * k, labels // k * k + k) if 0 < budget <= most]
        tries = " or ".join(f"--labels {budget}" for budget in near or [most])
        raise Mistake(f"{said}, a balanced budget is a multiple of {k}; try {tries}.")
    if labels > most:
        other = ("" if labels > sizes.sum() else
                 "\nOr take classes as often as they are: --set split.balance=proportional.")
        raise Mistake(f"{said} and {sizes[smallest]} training images of class {scarce}: the largest budget is --labels "
                      f"{most}.{other}")


def _class_sizes(dataset: Dataset) -> np.ndarray:
    """The training images of each class: [k]."""
    return np.bincount(dataset.train.labels[dataset.train.known].cpu().numpy(), minlength=len(dataset.classes))


def most_validation(dataset: Dataset, labels: int, config: SplitConfig = SplitConfig()) -> int:
    """The largest number of validation images beside a budget of labels; below 0 where the budget itself is too
    large.
    """
    return _Shares(_class_sizes(dataset), is_proportional(dataset, config)).room(labels)


@dataclass(frozen=True, eq=False)
class _Shares:
    """How labelled and validation images are shared out over classes of these sizes [k]."""

    sizes: np.ndarray
    proportional: bool  # the labelled images; the validation images always are

    def labelled(self, labels: int, held_out: np.ndarray) -> np.ndarray:
        """[k] images: as many of each, or in proportion to what is not held out [k], by largest remainder and at least
        one of each.
        """
        sizes, k = self.sizes - held_out, len(self.sizes)
        if not self.proportional:
            return np.full(k, labels // k)
        scarce = np.zeros(k, dtype=bool)  # classes that have one, as they would have none: the others share the rest
        while True:
            found = np.ones(k, dtype=np.int64)
            found[~scarce] = _allot(labels - int(scarce.sum()), sizes[~scarce])
            if found.all():
                return found
            scarce |= found == 0

    def held_out(self, validation: int) -> np.ndarray:
        """[k] images, fewer than asked for where there are not so many."""
        weights = self._weights
        return _allot(min(validation, int(weights.sum())) if self.proportional else validation, weights)

    def room(self, labels: int) -> int:
        """The validation images that there are beside the labels: of a balanced budget, a class of size s among n gives
        at most ceil(validation * s / n).
        """
        sizes, n = self.sizes, self.sizes.sum()
        if self.proportional:
            return int(min(n - labels, self._weights.sum()))
        return int(((sizes - labels // len(sizes)) * n // np.maximum(1, sizes)).min())

    def most_labels(self, held_out: np.ndarray) -> int:
        """The largest budget beside these validation images [k]; 0 or less where there is none."""
        left = self.sizes - held_out
        return int(left.sum() if self.proportional else len(left) * left.min())

    @property
    def _weights(self) -> np.ndarray:
        """[k] in proportion to which images are held out: a proportional budget's class keeps one to be labelled."""
        return self.sizes - 1 if self.proportional else self.sizes


def _allot(total: int, sizes: np.ndarray) -> np.ndarray:
    """The total shared out over classes in proportion to their sizes [k], by largest remainder."""
    n = max(1, int(sizes.sum()))
    shares, remainders = np.divmod(total * sizes, n)  # [k], [k]
    for label in np.argsort(-remainders, kind="stable")[: total - shares.sum()]:
        shares[label] += 1
    return shares


def _value(name: str, kind: type, saved: np.ndarray) -> np.ndarray | int | str:
    if kind is np.ndarray and saved.dtype == np.int64 and saved.ndim == 1:
        return saved
    if kind is not np.ndarray and saved.ndim == 0 and isinstance(saved.item(), kind):
        return saved.item()
    raise ValueError(f"{name} is {saved.dtype} of shape {saved.shape}")


def _broken(path: Path, found: object) -> Mistake:
    return Mistake(f"{path} is not a whole split: {found}.\nDelete that file and type the same command again: it is "
                   "made anew, the same.")
