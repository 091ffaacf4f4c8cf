"""The scores of generated images beside real ones: Inception Score, FID, KID, precision, recall, and the error of what
learns from them.
"""

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
from ssgan.evaluation import metrics, ranking
from ssgan.evaluation.frechet_distance import Gaussian, frechet_distance
from ssgan.evaluation.image_list import ImageList
from ssgan.evaluation.kernel_distance import SUBSET, KernelDistance, kernel_distance
from ssgan.evaluation.precision_recall import NEIGHBOURS, PrecisionRecall, precision_recall
from ssgan.evaluation.scoring_network import EFFICIENTNET, Network, Seen, look
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
    fid: float  # to the real test images
    kid: KernelDistance | None  # None of fewer than 4 images, or where it is off; as is the next
    covered: PrecisionRecall | None
    histogram: np.ndarray | None  # [k] images by most probable class; None where the network has other classes
    entropy: float | None  # of the histogram, in nats
    entropy_share: float | None  # of the largest that is possible
    class_agreement: float | None  # share that the network puts into the class asked for; None where none was
    generated_only_errors: list[float] | None  # of the trainings; None where no class was asked for, or it is off
    by_image: np.ndarray  # [n] what each image brings to the score

    @property
    def generated_only_error(self) -> float | None:
        """The mean test error of what was trained on these images alone."""
        return _mean(self.generated_only_errors)

    def measurements(self, prefix: str) -> dict[str, float]:
        """Name and value of everything that is a number."""
        found = {"inception_score": self.inception_score, "inception_score_std": self.std,
                 "inception_score_matched": self.matched, "fid": self.fid, **_features(self),
                 "class_entropy": self.entropy, "class_agreement": self.class_agreement,
                 "generated_only_error": self.generated_only_error}
        return {f"{prefix}{name}": value for name, value in found.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "inception_score": self.inception_score, "inception_score_std": self.std,
            "inception_score_matched": self.matched, "fid": self.fid, **_features(self),
            "generated_only_error": self.generated_only_error, "generated_only_errors": self.generated_only_errors,
            "class_agreement": self.class_agreement,
            "class_histogram": None if self.histogram is None else self.histogram.tolist(),
            "class_entropy": self.entropy, "class_entropy_share": self.entropy_share}


@dataclass(frozen=True, eq=False)
class RealScore:
    """The same of real images, for every generator of the same data and network."""

    inception_score: float  # of test images
    std: float
    samples: int  # test images in it
    test: Gaussian  # of the features of all test images
    features: torch.Tensor  # [m, f] of the first of them
    fid: float  # of training images to the test images
    fid_samples: int  # training images in it
    kid: KernelDistance | None  # likewise
    covered: PrecisionRecall | None  # likewise
    trained_errors: list[float] | None  # of what was trained on training images; None where some have no label, or off
    fid_against: int  # images to which that Fréchet distance is: all test images, or what is left of images alone
    features_compared: int  # images of each kind in that KID, and in that precision and recall


@dataclass(frozen=True, eq=False)
class Score:
    """The scores of each generator's images by a network, as the settings have it; the first stands for the run."""

    generators: dict[str, GeneratorScore]
    real: RealScore
    settings: ScoreConfig
    network: Network

    @property
    def headline(self) -> GeneratorScore:
        """The first generator's."""
        return next(iter(self.generators.values()))

    @property
    def inception_score(self) -> float:
        """The first generator's (Salimans et al. 2016)."""
        return self.headline.inception_score

    @property
    def fid(self) -> float:
        """The first generator's (Heusel et al. 2017), in the features of this network."""
        return self.headline.fid

    @property
    def frechet_distance(self) -> float:
        """The same, under its older name."""
        return self.fid

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
        real = {f"{name}_real": value for name, value in _features(self.real).items()}
        others = {"inception_score_real": self.real.inception_score, "fid_real": self.real.fid, **real,
                  "generated_only_error_real": _mean(self.real.trained_errors), "network_error": self.network.error}
        found |= {f"score/{name}": value for name, value in others.items() if value is not None}
        return {self._named(name): value for name, value in found.items()}

    def about(self) -> dict[str, Any]:
        """What the scores mean nothing without: the network and how it sees images, counts, splits, order."""
        settings, kept = self.settings, self.features_compared
        return self.network.about() | {
            "samples": settings.samples, "splits": settings.splits, "order": settings.order,
            "feature_images": kept, "feature_images_real": self.real.features_compared,
            "kid_subsets": settings.kid_subsets, "kid_subset_size": min(SUBSET, kept), "neighbours": NEIGHBOURS}

    @property
    def features_compared(self) -> int:
        """Images of each kind in the KID and in precision and recall."""
        return min(self.settings.samples, len(self.real.features))

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        real, settings = self.real, self.settings
        ours = {name: one.summary() for name, one in self.generators.items()}
        found = self.headline.summary() | {
            "inception_score_real": real.inception_score, "inception_score_real_std": real.std,
            "fid_real": real.fid, "frechet_samples_real": real.fid_samples,
            "test_images_real": real.fid_against,
            **{f"{name}_real": value for name, value in _features(real).items()},
            "test_images": real.test.count, "generated_only_error_real": _mean(real.trained_errors),
            "generated_only_errors_real": real.trained_errors, "train_images": settings.train_images,
            "samples": settings.samples, "real_samples": real.samples, "splits": settings.splits,
            "samples_per_split": settings.samples // settings.splits, "generator": settings.generator,
            "network": self.network.kind, "score_network": self.network.name,
            "score_network_error": self.network.error, "score_settings": self.about()}
        unnamed = {} if self.network.kind != EFFICIENTNET else {"inception_score": None}
        return unnamed | self._renamed(found) | {"generators": {name: self._renamed(one) for name, one in ours.items()}}

    def _renamed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {self._named(name): value for name, value in found.items()}

    def _named(self, name: str) -> str:
        """A score by another ImageNet network than Inception is no Inception Score."""
        return name.replace("inception_score", "efficientnet_score") if self.network.kind == EFFICIENTNET else name


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
    shuffled = torch.randperm(len(test), generator=torch_generator(0, "real images"))
    order = shuffled if settings.order == "shuffled" else torch.arange(len(test))
    told, keep = _told(network, watched, "real images"), settings.feature_images
    seen = look(network, lambda start, n: test.gather(order[start: start + n]), len(test), keep, told)
    count = min(settings.samples, len(test))
    chosen = torch.randperm(len(train), generator=torch_generator(0, "real training images"))[: settings.samples]
    others = look(network, lambda start, n: train.gather(chosen[start: start + n]), len(chosen), keep, told)
    errors = trained_errors(dataset, settings, device, watched) if labelled else None
    return RealScore(*metrics.inception_score(seen.probabilities[:count], settings.splits), count, seen.features,
                     seen.kept, *_held_against(others, seen.features, seen.kept, settings), errors,
                     seen.features.count, min(len(others.kept), len(seen.kept)))


def trained_errors(dataset: Dataset, settings: ScoreConfig, device: str, watched: Watched) -> list[float] | None:
    """The errors of what was trained on real images, kept in the user's cache; None if some have no label, or off."""
    train, test = compared(dataset)
    if not settings.train_images or not len(test.known):
        return None
    return errors_of_real(train, test, Trainings.of(settings), device, watched("trained on real images"))


def real_scores_of(images: Images, network: Network, settings: ScoreConfig,
                   watched: Watched = lambda stage: lambda done, total: None) -> RealScore:
    """The same of images without parts: all are what others are compared with, and as many of them as are generated, or
    a half where there are fewer, against the rest stand beside: precision and recall compare at equal counts alone.
    Raises Mistake.
    """
    source = ImageList("real images", images, settings.order == "shuffled")
    half, told = min(settings.samples, len(images) // 2), _told(network, watched, "real images")
    first = look(network, source.images, half, settings.feature_images, told)
    second = look(network, lambda start, n: source.images(half + start, n), len(images) - half,
                  settings.feature_images, told)
    probabilities = np.concatenate([first.probabilities, second.probabilities])
    count = min(settings.samples, len(images))
    kept = torch.cat([first.kept, second.kept])[: settings.feature_images]
    found = _held_against(first, second.features, second.kept, settings)
    return RealScore(*metrics.inception_score(probabilities[:count], settings.splits), count,
                     first.features + second.features, kept, *found, None, second.features.count,
                     min(len(first.kept), len(second.kept)))


def score(samplers: Collection[Sampler | ImageList], test: Images | Half, real: RealScore, network: Network,
          settings: ScoreConfig, device: str, watched: Watched = lambda stage: lambda done, total: None) -> Score:
    """Scores images number 0 to `settings.samples` of every generator, the one first that stands for the run. Raises
    Mistake.
    """
    found = {}
    for sampler in samplers:
        seen = look(network, sampler.images, settings.samples, settings.feature_images,
                    _told(network, watched, "images"))
        probabilities, asked = seen.probabilities, sampler.labels(0, settings.samples)
        errors = None
        if settings.train_images and len(test.known):
            errors = errors_of_generated(sampler, test, Trainings.of(settings), device,
                                         watched("trained on generated images"))
        matched, _ = metrics.inception_score(probabilities[: real.samples], settings.splits)
        distance, _, kid, covered = _held_against(seen, real.test, real.features, settings)
        found[sampler.name] = GeneratorScore(
            *metrics.inception_score(probabilities, settings.splits), matched, distance, kid, covered,
            *_by_class(network, probabilities, asked), errors, ranking.by_image(probabilities))
    return Score(found, real, settings, network)


def _held_against(seen: Seen, test: Gaussian, features: torch.Tensor, settings: ScoreConfig,
                  ) -> tuple[float, int, KernelDistance | None, PrecisionRecall | None]:
    """Fréchet distance, of how many images, kernel distance, precision and recall: the last two of equally many."""
    distance, count = frechet_distance(seen.features, test), min(len(seen.kept), len(features))
    if count <= NEIGHBOURS:
        return distance, seen.features.count, None, None
    ours, real = seen.kept[:count], features[:count]
    kid = kernel_distance(ours, real, settings.kid_subsets)
    return distance, seen.features.count, kid, precision_recall(ours, real)


def _by_class(network: Network, probabilities: np.ndarray, asked: torch.Tensor | None):
    """Histogram, its entropy and share, and the agreement with the classes asked for; None each where the network's
    classes are not the data's.
    """
    classes = probabilities.shape[1]
    if network.of_imagenet or classes < 2:
        return None, None, None, None
    answers = probabilities.argmax(1)
    histogram = np.bincount(answers, minlength=classes)
    agreement = None if asked is None else float((answers == asked.cpu().numpy()).mean())
    return histogram, *metrics.class_entropy(histogram), agreement


def _features(one: GeneratorScore | RealScore) -> dict[str, float | None]:
    """What is told of features besides the Fréchet distance."""
    kid, covered = one.kid, one.covered
    return {"kid": kid and kid.mean, "kid_std": kid and kid.std, "precision": covered and covered.precision,
            "recall": covered and covered.recall}


def _told(network: Network, watched: Watched, what: str) -> Told:
    """Whom to tell how far a network is that takes long."""
    return watched(f"{what} through {network.kind}") if network.of_imagenet else lambda done, total: None


def _mistake(told: str, value: str, trained: str) -> Mistake:
    if trained:
        return Mistake(f"{told}.\nIt is trained already: ssgan score {trained} --set {value}")
    return Mistake(f"{told}: try --set {value}.\nWhere the run is trained already: ssgan score RUN --set {value}")


def _mean(values: list[float] | None) -> float | None:
    return None if values is None else statistics.mean(values)
