"""The scores of the generators of a run: Inception Score, Fréchet distance, and the error of what learns from them."""

import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ssgan.config import ScoreConfig
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import metrics
from ssgan.evaluation.frechet_distance import Gaussian, frechet_distance
from ssgan.evaluation.scoring_network import Network, look
from ssgan.evaluation.trained_on_generated import Told, Trainings, errors_of_generated, errors_of_real
from ssgan.models.sampling import Sampler
from ssgan.random_streams import torch_generator

Watched = Callable[[str], Told]  # is told what begins, and answers whom to tell how far it is


@dataclass(frozen=True, eq=False)
class GeneratorScore:
    """The scores of one generator's images; `matched` is the Inception Score of as many as there are real ones."""

    inception_score: float
    std: float
    matched: float
    frechet_distance: float  # to the real test images
    histogram: np.ndarray  # [k] images by most probable class
    entropy: float  # of the histogram, in nats
    entropy_share: float  # of the largest that is possible
    class_agreement: float | None  # share that the network puts into the class asked for; None where none was
    generated_only_errors: list[float] | None  # of the trainings; None where no class was asked for, or it is off

    @property
    def generated_only_error(self) -> float | None:
        """The mean test error of what was trained on these images alone."""
        return _mean(self.generated_only_errors)

    def measurements(self, prefix: str) -> dict[str, float]:
        """Name and value of everything that is a number."""
        found = {"inception_score": self.inception_score, "inception_score_std": self.std,
                 "inception_score_matched": self.matched, "frechet_distance": self.frechet_distance,
                 "class_entropy": self.entropy, "class_agreement": self.class_agreement,
                 "generated_only_error": self.generated_only_error}
        return {f"{prefix}{name}": value for name, value in found.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "inception_score": self.inception_score, "inception_score_std": self.std,
            "inception_score_matched": self.matched, "frechet_distance": self.frechet_distance,
            "generated_only_error": self.generated_only_error, "generated_only_errors": self.generated_only_errors,
            "class_agreement": self.class_agreement, "class_histogram": self.histogram.tolist(),
            "class_entropy": self.entropy, "class_entropy_share": self.entropy_share}


@dataclass(frozen=True, eq=False)
class RealScore:
    """The same of real images, for every generator of the same data and network."""

    inception_score: float  # of test images
    std: float
    samples: int  # test images in it
    test: Gaussian  # of the features of all test images
    frechet_distance: float  # of training images to the test images
    frechet_samples: int  # training images in it
    trained_errors: list[float] | None  # of what was trained on training images; None where some have no label, or off


@dataclass(frozen=True, eq=False)
class Score:
    """The scores of `samples` images of each generator, the Inception Score in `splits` parts; the first stands for the
    run.
    """

    generators: dict[str, GeneratorScore]
    real: RealScore
    samples: int
    splits: int
    train_images: int
    weights: str  # of the generators: average or last
    network: str
    network_error: float | None

    @property
    def headline(self) -> GeneratorScore:
        """The first generator's."""
        return next(iter(self.generators.values()))

    @property
    def inception_score(self) -> float:
        """The first generator's (Salimans et al. 2016)."""
        return self.headline.inception_score

    @property
    def frechet_distance(self) -> float:
        """The first generator's (Heusel et al. 2017), in the features of this network."""
        return self.headline.frechet_distance

    @property
    def generated_only_error(self) -> float | None:
        """The first generator's (one minus the classification accuracy score of Ravuri & Vinyals 2019)."""
        return self.headline.generated_only_error

    def measurements(self) -> dict[str, float]:
        """Name and value of everything that is a number: the first generator's, and where there are several each one's
        under its name.
        """
        found = self.headline.measurements("score/")
        if len(self.generators) > 1:
            for name, one in self.generators.items():
                found |= one.measurements(f"score/{name}/")
        others = {"inception_score_real": self.real.inception_score,
                  "frechet_distance_real": self.real.frechet_distance,
                  "generated_only_error_real": _mean(self.real.trained_errors), "network_error": self.network_error}
        return found | {f"score/{name}": value for name, value in others.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        real = self.real
        return self.headline.summary() | {
            "inception_score_real": real.inception_score, "inception_score_real_std": real.std,
            "frechet_distance_real": real.frechet_distance, "frechet_samples_real": real.frechet_samples,
            "test_images": real.test.count, "generated_only_error_real": _mean(real.trained_errors),
            "generated_only_errors_real": real.trained_errors, "train_images": self.train_images,
            "samples": self.samples, "real_samples": real.samples, "splits": self.splits,
            "samples_per_split": self.samples // self.splits, "generator": self.weights,
            "score_network": self.network, "score_network_error": self.network_error,
            "generators": {name: one.summary() for name, one in self.generators.items()}}


@dataclass(frozen=True, eq=False)
class Half:
    """A random half of the training images. Where there is no test part, one half stands for the test images; no label
    of theirs is asked for, as what is scored may have learnt from it.
    """

    images: Images
    index: torch.Tensor
    known: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.index)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """As `Images.gather`."""
        return self.images.gather(self.index[index])


def compared(dataset: Dataset) -> tuple[Images | Half, Images | Half]:
    """The real images that generated ones are compared with: training images and test images, or what stands for
    them.
    """
    if dataset.test is not None and len(dataset.test):
        return dataset.train, dataset.test
    order = torch.randperm(len(dataset.train), generator=torch_generator(0, "halves"))
    first, second = order.tensor_split(2)
    return Half(dataset.train, first), Half(dataset.train, second)


def check(settings: ScoreConfig, train: Images, test: Images | Half, trained: str = "") -> None:
    """Raises Mistake for settings that these images cannot be scored with; `trained` is the run whose images they are,
    where it is known and has been trained, which need not be done again.
    """
    count = min(settings.samples, len(test))
    if settings.splits > count:
        kind = "real test images" if isinstance(test, Images) else "real images, half of those there are"
        real = f"the {count} images to be split" if count < len(test) else f"the {count} {kind}"
        raise _mistake(f"score.splits = {settings.splits} is more than {real}", f"score.splits={max(1, count // 100)}",
                       trained)
    if 0 < settings.train_images < len(train.classes):
        raise _mistake(f"score.train_images = {settings.train_images} is less than one for each of the "
                       f"{len(train.classes)} classes, and 0 leaves it out", "score.train_images=0", trained)


def real_scores(dataset: Dataset, network: Network, settings: ScoreConfig, device: str, *, labelled: bool,
                watched: Watched = lambda stage: lambda done, total: None) -> RealScore:
    """Real images by the same measures; `labelled` says whether some generator is told classes.

    Their Fréchet distance is that of as many training images as are generated, or all of them if there are fewer: half
    of the test images against the other half would be smaller sets, whose distance is larger. Raises Mistake.
    """
    train, test = compared(dataset)
    order = torch.randperm(len(test), generator=torch_generator(0, "real images"))
    seen = look(network, lambda start, n: test.gather(order[start: start + n]), len(test))
    count = min(settings.samples, len(test))
    chosen = torch.randperm(len(train), generator=torch_generator(0, "real training images"))[: settings.samples]
    others = look(network, lambda start, n: train.gather(chosen[start: start + n]), len(chosen))
    errors = None
    if labelled and settings.train_images and len(test.known):
        errors = errors_of_real(train, test, Trainings.of(settings), device, watched("trained on real images"))
    return RealScore(*metrics.inception_score(seen.probabilities[:count], settings.splits), count, seen.features,
                     frechet_distance(others.features, seen.features), len(chosen), errors)


def score(samplers: Collection[Sampler], test: Images | Half, real: RealScore, network: Network, settings: ScoreConfig,
          device: str, watched: Watched = lambda stage: lambda done, total: None) -> Score:
    """Scores images number 0 to `settings.samples` of every generator, the one first that stands for the run. Raises
    Mistake.
    """
    found = {}
    for sampler in samplers:
        seen = look(network, sampler.images, settings.samples)
        probabilities, asked = seen.probabilities, sampler.labels(0, settings.samples)
        answers, errors = probabilities.argmax(1), None
        if settings.train_images and len(test.known):
            errors = errors_of_generated(sampler, test, Trainings.of(settings), device,
                                         watched("trained on generated images"))
        histogram = np.bincount(answers, minlength=probabilities.shape[1])
        matched, _ = metrics.inception_score(probabilities[: real.samples], settings.splits)
        found[sampler.name] = GeneratorScore(
            *metrics.inception_score(probabilities, settings.splits), matched,
            frechet_distance(seen.features, real.test), histogram, *metrics.class_entropy(histogram),
            None if asked is None else float((answers == asked.cpu().numpy()).mean()), errors)
    return Score(found, real, settings.samples, settings.splits, settings.train_images, settings.generator,
                 network.name, network.error)


def _mistake(told: str, value: str, trained: str) -> Mistake:
    if trained:
        return Mistake(f"{told}.\nIt is trained already: ssgan score {trained} --set {value}")
    return Mistake(f"{told}: try --set {value}.\nWhere the run is trained already: ssgan score RUN --set {value}")


def _mean(values: list[float] | None) -> float | None:
    return None if values is None else statistics.mean(values)
