"""Generated images by what each brings to the score: the best and the worst hundredth, as the paper shows them."""

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.evaluation.scoring_network import BATCH
from ssgan.files import replacing
from ssgan.models.sampling import Sampler

SHARE = 0.01  # of all images, at each end
MOST = 400  # images on a sheet
FILE = "by_image.npz"


def by_image(probabilities: np.ndarray) -> np.ndarray:
    """KL(p(y|x) || p(y)) of each image, from probabilities [n, k]: [n], of which the mean is the score's logarithm
    (Salimans et al. 2016, section 4).
    """
    from scipy.special import rel_entr

    return rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1)


def best(values: np.ndarray, share: float = SHARE) -> np.ndarray:
    """The numbers of the share of images with the highest values, the highest first; of one image at least."""
    return highest(values, max(1, round(share * len(values))))


def worst(values: np.ndarray, share: float = SHARE) -> np.ndarray:
    """The numbers of the share of images with the lowest values, the lowest first; of one image at least."""
    return best(-values, share)


def highest(values: np.ndarray, count: int) -> np.ndarray:
    """The numbers of that many images with the highest values, the highest first; of equal ones the first."""
    return np.argsort(-values, kind="stable")[:count]


@dataclass(frozen=True, eq=False)
class Picked:
    """Some of a sampler's images, by number, in that order; as a `Sampler`."""

    sampler: Sampler
    numbers: np.ndarray  # [m]

    @property
    def name(self) -> str:
        """The sampler's."""
        return self.sampler.name

    @property
    def conditional(self) -> bool:
        """Whether classes were asked for."""
        return self.sampler.conditional

    def images(self, start: int, count: int) -> Tensor:
        """Images of the numbers `start` to start + count: float32 [count, c, h, w] in [0, 1]."""
        return self._picked(self.sampler.images, start, count)

    def labels(self, start: int, count: int) -> Tensor | None:
        """The classes that those were asked for, int64 [count]; None where none was."""
        return self._picked(self.sampler.labels, start, count) if self.conditional else None

    def _picked(self, of: Callable[[int, int], Tensor], start: int, count: int) -> Tensor:
        """Made in the batches in which the numbers lie, each once."""
        numbers, found = self.numbers[start: start + count], {}
        for piece in np.unique(numbers // BATCH):
            inside = np.unique(numbers[numbers // BATCH == piece])
            first = int(inside[0])
            made = of(first, int(inside[-1]) - first + 1)
            found |= {int(number): made[number - first] for number in inside}
        return torch.stack([found[int(number)] for number in numbers])


def save(found: Mapping[str, np.ndarray], weights: str, folder: Path) -> None:
    """Writes what each image of each generator, with these weights, brings to the score. Raises Mistake."""
    with replacing(folder / FILE) as file:
        np.savez_compressed(file, weights=weights, **{f"of/{name}": values for name, values in found.items()})


def load(folder: Path, generator: str, weights: str) -> np.ndarray:
    """The same of one generator with these weights: [n] by number. Raises Mistake where its images were not scored so.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as saved:
            if str(saved["weights"]) == weights:
                return saved[f"of/{generator}"]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise Mistake(f"{folder / FILE} is damaged ({error}).\nMake it again: ssgan score RUN") from None
    raise Mistake(f"the images of this generator ({weights} weights) have not been scored one by one.\n"
                  f"Score them first: ssgan score RUN --set score.generator={weights}")


def parse_percent(option: str, text: str) -> float:
    """The number before the sign of a share such as 1%, which may be left out; of four decimals at most, so that a name
    of six digits tells it from every other. Raises Mistake.
    """
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,4})?)\s*%?\s*", text, re.ASCII)
    if found is None or not 0 < float(found[1]) <= 100:
        raise Mistake(f"{option} {text}: write a share of the generated images, above 0 % and up to 100 %, for example "
                      f"{option} 1%.")
    return float(found[1])
