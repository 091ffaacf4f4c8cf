"""The scores of images that need no run: of a folder, of an .npz file, or of a run's generators against other data."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ssgan.config import ScoreConfig
from ssgan.data import named, own_data
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.data.own_data import Reading
from ssgan.data.plain_images import is_place, plain_images
from ssgan.errors import Mistake, unknown
from ssgan.evaluation import generator_scores, networks
from ssgan.evaluation.generator_scores import RealScore, Score
from ssgan.evaluation.image_list import ImageList
from ssgan.evaluation.scoring_network import DOMAIN, Network
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.progress import Progress
from ssgan.experiments.stages import watched
from ssgan.models.sampling import Sampler


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images that others are held against: a data set, or images alone, which are then all its training part."""

    name: str
    dataset: Dataset

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: c, h, w."""
        return self.dataset.train.shape

    @property
    def images(self) -> Images:
        """Those that are compared with: the test images, or all where there is no test part."""
        test = self.dataset.test
        return test if test is not None and len(test) else self.dataset.train


def read_reference(name: str, data_dir: Path, reading: Reading) -> Reference:
    """The real images of that name: a path that exists, then a data set's name. Raises Mistake."""
    if own_data.is_own(name):
        name = own_data.absolute(name)
    elif is_place(name):
        images = plain_images(name, reading)
        return Reference(str(Path(name).expanduser().absolute()), Dataset(name, images, None))
    elif name not in named.SOURCES:
        raise unknown("data set or folder", name, named.SOURCES)
    if not name.startswith(own_data.FOLDER):  # these have their size
        reading = dataclasses.replace(reading, image_size=0)
    return Reference(name, named.load(name, data_dir, reading))


def listed(name: str, settings: ScoreConfig, reading: Reading) -> ImageList:
    """The images at a place that are scored. Raises Mistake."""
    return ImageList(name, plain_images(name, reading), settings.order == "shuffled")


def check(settings: ScoreConfig, images: int | None, where: str, reference: Reference, shape: tuple[int, int, int],
          ) -> None:
    """Raises Mistake for what cannot be scored as the settings have it; `images` there are, None for as many as are
    wanted.
    """
    if images is not None and settings.samples > images:
        raise Mistake(f"score.samples = {settings.samples:,} are more than the {images:,} images in {where}: leave it "
                      f"out, and all are scored.")
    for count, what in ((settings.samples, where), (len(reference.images), reference.name)):
        if count < max(2, settings.splits):
            fewer = f"try --set score.splits={max(1, count // 100)}, or " if count > 1 else ""
            raise Mistake(f"{what} has {count} image{'s' * (count != 1)}, and score.splits = {settings.splits} needs "
                          f"at least {max(2, settings.splits)}: {fewer}give more images.")
    if settings.network == DOMAIN:
        if not networks.has_domain_network(reference.dataset):
            raise Mistake(f"{reference.name} has no full labels with a test part, from which a network of its own "
                          f"domain could be trained.\nTake another: --network inception, or --network efficientnet; "
                          f"or name a labelled set with --against, as folder:PATH say.")
        if shape != reference.shape:
            raise Mistake(f"the images in {where} are {told(shape)}, those of {reference.name} {told(reference.shape)}"
                          f" (channels, height, width), and its domain network sees no others.\n"
                          f"Bring them to that form (--image-size makes squares), or take --network inception.")
        return
    networks.check(settings.network)


def score(samplers: Collection[Sampler | ImageList], reference: Reference, settings: ScoreConfig, device: str,
          progress: Progress, stop: Stop) -> Score:
    """The scores of images against a reference. Raises Mistake, and Interrupted."""
    tell, dataset = watched(progress, stop), reference.dataset
    network = networks.network_of(settings.network, dataset, device, tell("network"))
    assert network is not None, "checked before"
    found = generator_scores.score(samplers, reference.images, _real(reference, network, settings, device, tell),
                                   network, dataclasses.replace(settings, train_images=0), device, tell)
    progress.end()
    return found


def _real(reference: Reference, network: Network, settings: ScoreConfig, device: str,
          tell: generator_scores.Watched) -> RealScore:
    if reference.images is reference.dataset.test:
        return generator_scores.real_scores(reference.dataset, network, settings, device, labelled=False, watched=tell)
    return generator_scores.real_scores_of(reference.images, network, settings, tell)


def told(shape: tuple[int, int, int]) -> str:
    """A shape as a person reads it."""
    return " x ".join(map(str, shape))
