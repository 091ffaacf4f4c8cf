"""Pictures: they hold what they should, take any class name, and are whole or not there."""

import dataclasses
import io
import os

import numpy as np
import pytest
import small
import torch
from PIL import Image

from ssgan.errors import Mistake
from ssgan.evaluation import figures as reports
from ssgan.evaluation.classifier import evaluate, worst_mistakes

ODD_NAMES = ("$x", r"$\foo$", "猫", "a name that goes on and on and on")


def opened(path) -> Image.Image:
    picture = Image.open(io.BytesIO(path.read_bytes()))
    picture.load()
    assert picture.format == "PNG"
    return picture


@pytest.fixture
def evaluation():
    images = small.images(40, (1, 6, 5), 4, seed=0)
    return images, evaluate(lambda x: x.flatten(1)[:, :4], images, torch.arange(40))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_every_image_enlarged(tmp_path, channels):
    images = torch.randint(0, 256, (7, channels, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    reports.sample_sheet(images, tmp_path / "sheet.png", columns=3)
    sheet = np.array(opened(tmp_path / "sheet.png")).reshape(3 * 68 + 4, 3 * 52 + 4, channels)
    for i, image in enumerate(images):
        top, left = 4 + i // 3 * 68, 4 + i % 3 * 52
        tile = sheet[top: top + 64, left: left + 48]
        np.testing.assert_array_equal(tile, np.kron(image.numpy().transpose(1, 2, 0), np.ones((8, 8, 1), np.uint8)))
        assert (sheet[top - 4: top, left: left + 48] == 96).all(), "a gap above"


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_images_of_other_channels_are_shown_by_their_first_three(tmp_path, channels, evaluation):
    images = torch.randint(0, 256, (3, channels, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    reports.sample_sheet(images, tmp_path / "sheet.png", columns=3)
    tile = np.array(opened(tmp_path / "sheet.png"))[4:68, 4:52]
    first = np.zeros((8, 6, 3), np.uint8)
    first[..., : min(3, channels)] = images[0, :3].numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(tile, np.kron(first, np.ones((8, 8, 1), np.uint8)))
    reports.classes_sheet(images.numpy(), np.array([0, 1, -1]), ("a", "b"), tmp_path / "classes.png")
    reports.mistakes_sheet(evaluation[1], np.array([0]), small.images(40, (channels, 6, 5), 4, seed=0),
                           tmp_path / "mistakes.png")
    assert opened(tmp_path / "classes.png").size and opened(tmp_path / "mistakes.png").size


def test_large_images_keep_their_size_and_few_need_no_empty_columns(tmp_path):
    reports.sample_sheet(torch.zeros(2, 3, 100, 90, dtype=torch.uint8), tmp_path / "sheet.png", columns=10)
    assert opened(tmp_path / "sheet.png").size == (2 * 94 + 4, 108)


class Grey:
    """A generator whose images are as bright as their class, of `classes`, of which it is asked for `asked` in turn."""

    def __init__(self, classes: int, asked: int, channels: int = 1):
        self.asked, self.channels, self.classes, self.calls = asked, channels, classes, 0

    def labels(self, start, count):
        return torch.arange(start, start + count) % self.asked

    def images(self, start, count):
        self.calls += 1
        shade = (self.labels(start, count) + 1) / self.classes
        return shade.view(-1, 1, 1, 1).expand(-1, self.channels, 6, 6)


@pytest.mark.parametrize(("classes", "channels"), [(3, 1), (10, 3), (47, 1)])
def test_the_sheet_by_class_has_a_row_for_each(tmp_path, classes, channels):
    source = Grey(classes, classes, channels)
    reports.by_class_sheet(source, tuple(f"class {i}" for i in range(classes)), tmp_path / "sheet.png")
    shown = np.array(opened(tmp_path / "sheet.png").convert("L")).astype(int)
    middle = shown[:, shown.shape[1] * 3 // 4]
    places = [np.flatnonzero(abs(middle - round(255 * (label + 1) / classes)) <= 1) for label in range(classes)]
    assert all(len(place) > 10 for place in places)
    assert all(np.median(above) < np.median(below) for above, below in zip(places, places[1:]))
    assert source.calls < 20


def test_a_class_that_is_never_asked_for_has_an_empty_row(tmp_path):
    source = Grey(4, 3)
    reports.by_class_sheet(source, tuple("abcd"), tmp_path / "sheet.png")
    shown = np.array(opened(tmp_path / "sheet.png").convert("L"))
    assert (shown == 255).mean() < 0.3 and (shown == 96).mean() > 0.2
    assert source.calls <= 4


@pytest.mark.parametrize("count", [1, 3, 20])
def test_mistakes_are_shown(tmp_path, evaluation, count):
    images, found = evaluation
    worst = worst_mistakes(found, count)
    assert len(worst) == count
    reports.mistakes_sheet(found, worst, images, tmp_path / "mistakes.png")
    shown = np.array(opened(tmp_path / "mistakes.png").convert("L"))
    assert shown.shape[1] >= 400 and shown.std() > 10
    reports.mistakes_sheet(found, worst[::-1], images, tmp_path / "other.png")
    assert (count == 1) == bool((tmp_path / "other.png").read_bytes() == (
        tmp_path / "mistakes.png").read_bytes()), "the order is the one asked for"


def test_colour_images_are_shown_in_colour(tmp_path):
    images = small.images(8, (3, 4, 4), 2, seed=1)
    red = dataclasses.replace(images, pixels=torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(
        8, 3, 4, 4))
    found = evaluate(lambda x: torch.eye(2)[1 - images.labels], red, torch.arange(8))
    reports.mistakes_sheet(found, worst_mistakes(found, 8), red, tmp_path / "mistakes.png")
    shown = np.array(opened(tmp_path / "mistakes.png").convert("RGB")).reshape(-1, 3)
    assert (shown == [255, 0, 0]).all(1).mean() > 0.3


def test_only_mistakes_are_coloured_in_the_confusion(tmp_path):
    counts = np.diag([50, 50, 50, 50])
    reports.confusion_picture(counts, tuple("abcd"), tmp_path / "right.png")
    counts[1, 2] = 7
    reports.confusion_picture(counts, tuple("abcd"), tmp_path / "wrong.png")

    def coloured(name):
        pixels = np.array(opened(tmp_path / name).convert("RGB")).astype(int)
        return ((pixels[..., 0] - pixels[..., 2]) > 100).mean()

    assert coloured("right.png") == 0
    assert 0.01 < coloured("wrong.png") < 0.06, "one cell of sixteen"


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_pictures_of_any_number_of_classes_are_of_sensible_size(tmp_path, classes):
    names = tuple(f"class {i}" for i in range(classes))
    reports.confusion_picture(np.eye(classes, dtype=int), names, tmp_path / "confusion.png")
    reports.class_histogram_picture(np.ones(classes), names, tmp_path / "classes.png")
    for name in ("confusion.png", "classes.png"):
        assert all(300 < side < 2000 for side in opened(tmp_path / name).size)


def test_any_class_name_can_be_shown(tmp_path, evaluation):
    images, found = evaluation
    odd = dataclasses.replace(found, classes=ODD_NAMES)
    reports.mistakes_sheet(odd, worst_mistakes(odd, 8), images, tmp_path / "a.png")
    reports.confusion_picture(odd.confusion, ODD_NAMES, tmp_path / "b.png")
    reports.class_histogram_picture(np.array([0, 0, 0, 0]), ODD_NAMES, tmp_path / "c.png")
    assert [opened(tmp_path / name).mode for name in ("a.png", "b.png", "c.png")] == ["RGBA"] * 3


def test_a_failing_write_leaves_the_old_picture_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    reports.sample_sheet(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), path, columns=1)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    for write in (lambda: reports.sample_sheet(torch.ones(1, 1, 8, 8, dtype=torch.uint8), path, columns=1),
                  lambda: reports.class_histogram_picture(np.ones(3), tuple("abc"), path)):
        with pytest.raises(Mistake, match="No space left"):
            write()
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
