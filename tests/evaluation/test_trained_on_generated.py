"""What is trained on generated images alone: labels as asked, steps as told, the same twice; and the cache of the real
ones.
"""

import functools
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import small
import torch

from ssgan.data.images import Images
from ssgan.evaluation import trained_on_generated
from ssgan.evaluation.trained_on_generated import Trainings, errors_of_generated, errors_of_real

FEW = Trainings(images=600, epochs=24, times=2)
STEPS = 56  # of each


@functools.cache
def easy(count: int, seed: int, shape: tuple[int, int, int] = (1, 8, 8)) -> Images:
    """Four classes of images that differ in brightness."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    pixels = torch.randint(0, 40, (count, *shape), generator=generator) + 60 * labels.view(-1, 1, 1, 1)
    return Images.of(pixels.to(torch.uint8), labels, tuple("abcd"))


@dataclass
class Source:
    """A generator that makes images which are there, and has been asked for their classes."""

    of: Images
    conditional: bool = True

    def images(self, start: int, count: int) -> torch.Tensor:
        return self.of.gather(torch.arange(start, start + count))

    def labels(self, start: int, count: int) -> torch.Tensor:
        return self.of.labels[start: start + count]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ssgan" / "trained_on_real"


def test_what_learns_from_good_images_answers_well_and_from_wrong_classes_badly():
    test, good = easy(200, 1), easy(600, 0)
    errors = errors_of_generated(Source(good), test, FEW, "cpu")
    assert len(errors) == 2 and max(errors) < 0.02
    wrong = Images.of(good.pixels, (good.labels + 1) % 4, good.classes)
    assert min(errors_of_generated(Source(wrong), test, FEW, "cpu")) > 0.98


def test_of_a_generator_that_is_told_no_class_there_is_none():
    assert errors_of_generated(Source(easy(600, 0), conditional=False), easy(200, 1), FEW, "cpu") is None


def test_trainings_differ_and_come_out_the_same_again_whatever_torch_has_drawn():
    test, source, threads = easy(200, 1), Source(easy(600, 0)), torch.get_num_threads()
    short = Trainings(600, 1, 3)
    torch.manual_seed(1)
    errors = errors_of_generated(source, test, short, "cpu")
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert errors_of_generated(source, test, short, "cpu") == errors
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert errors_of_generated(source, test, Trainings(600, 1, 1), "cpu") == errors[:1]
    module = [trained_on_generated._trained(trained_on_generated._untrained((1, 8, 8), 4, seed), source.of.pixels,
                                            source.of.labels, 3, seed, lambda step: None) for seed in (0, 1)]
    assert not torch.equal(module[0][0].weight, module[1][0].weight)


def test_progress_is_told_over_all_trainings():
    told = []
    errors_of_generated(Source(easy(600, 0)), easy(200, 1), FEW, "cpu", lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (2 * STEPS, 2 * STEPS) and {total for _, total in told} == {2 * STEPS}


@pytest.fixture
def threads():
    """Sets how many threads torch takes."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_all_are_trained_at_once_on_several_cores_and_come_to_the_same(threads, monkeypatch):
    running, most, original = [], [], trained_on_generated._trained

    def trained(module, *arguments):
        running.append(torch.get_num_threads())
        most.append(len(running))
        module = original(module, *arguments)
        running.pop()
        return module

    monkeypatch.setattr(trained_on_generated, "_trained", trained)
    found, test, source = {}, easy(200, 1), Source(easy(600, 0))
    for count in (1, 2):
        most.clear()
        threads(count)
        errors = errors_of_generated(source, test, Trainings(600, 12, 3), "cpu")
        found[count] = errors, max(most), torch.get_num_threads()
    assert found[1][0] == found[2][0] and found[1][1:] == (1, 1) and found[2][1:] == (3, 2)


@pytest.mark.parametrize("count", [1, 2])
def test_trainings_that_are_stopped_end_at_once(threads, count):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    threads(count)
    began, alive = time.monotonic(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        errors_of_generated(Source(easy(600, 0)), easy(200, 1), Trainings(600, 100_000, 3), "cpu", stop)
    assert time.monotonic() - began < 60 and threading.active_count() == alive
    assert torch.get_num_threads() == count


def test_a_training_that_fails_is_told_of(monkeypatch):
    monkeypatch.setattr(trained_on_generated, "_error", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        errors_of_generated(Source(easy(600, 0)), easy(200, 1), FEW, "cpu")


def test_test_images_of_unknown_class_are_left_out():
    test = easy(200, 1)
    labels = torch.where(torch.arange(200) % 2 == 0, test.labels, -1)
    half = Images.of(test.pixels, labels, test.classes)
    only = Images.of(test.pixels[::2], test.labels[::2], test.classes)
    short, source = Trainings(600, 1, 2), Source(easy(600, 0))
    assert errors_of_generated(source, half, short, "cpu") == errors_of_generated(source, only, short, "cpu")


def test_real_ones_are_trained_on_once_and_then_read(cache):
    train, test = easy(300, 0), easy(200, 1)
    told = []
    errors = errors_of_real(train, test, FEW, "cpu", lambda done, total: told.append((done, total)))
    assert told[-1] == (2 * STEPS, 2 * STEPS), "as many steps as of 600 images, though there are 300"
    assert len(errors) == 2 and max(errors) < 0.02
    fail = functools.partial(pytest.fail, "trained again")
    assert errors_of_real(train, test, FEW, "cpu", lambda *_: fail()) == errors
    assert len(list(cache.iterdir())) == 1
    errors_of_real(train, test, Trainings(600, 24, 1), "cpu")
    errors_of_real(train, easy(100, 1), FEW, "cpu")
    assert len(list(cache.iterdir())) == 3, "other trainings, other images"


def test_real_ones_are_as_many_as_generated_ones(monkeypatch, cache):
    seen = []
    monkeypatch.setattr(trained_on_generated, "_errors",
                        lambda pixels, labels, *_: seen.append((pixels, labels)) or [0.5])
    train = easy(300, 0)
    errors_of_real(train, easy(200, 1), Trainings(100, 1, 1), "cpu")
    (pixels, labels), = seen
    assert len(pixels) == len(labels) == 100 and not torch.equal(pixels, train.pixels[:100]), "drawn, not the first"
    brightness = pixels.float().mean((1, 2, 3))
    assert ((brightness // 60).long() == labels).all(), "with their own labels"


@pytest.mark.parametrize("broken", [b"", b"[0.1", b"3", b"[0.1]", b'["a", "b"]', b"[0.1, 7.0]", b"\xff\xfe"])
def test_a_broken_file_is_made_anew(cache, broken):
    train, test, short = easy(300, 0), easy(200, 1), Trainings(300, 1, 2)
    errors = errors_of_real(train, test, short, "cpu")
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(broken)
    assert errors_of_real(train, test, short, "cpu") == errors and path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(cache, monkeypatch, tmp_path):
    train, test, short = easy(300, 0), easy(200, 1), Trainings(300, 1, 2)
    errors = errors_of_real(train, test, short, "cpu")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert errors_of_real(train, test, short, "cpu") == errors


def test_without_all_labels_there_is_nothing_to_compare_with(cache):
    train = easy(300, 0)
    some = Images.of(train.pixels, torch.where(torch.arange(300) < 290, train.labels, -1), train.classes)
    assert errors_of_real(some, easy(200, 1), FEW, "cpu") is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (2, 3, 17), (1, 28, 28), (3, 32, 32), (3, 101, 64)])
def test_images_of_any_shape_can_be_learnt_from(shape):
    images = small.images(30, shape, 3, seed=0)
    errors = errors_of_generated(Source(images), images, Trainings(30, 1, 1), "cpu")
    assert 0 <= errors[0] <= 1
    first = trained_on_generated._network(shape, 3)[0](torch.zeros(1, *shape))
    assert max(first.shape[2:]) <= 10


def test_pixels_of_floats_are_learnt_from_as_they_are(cache):
    train, test = easy(300, 0), easy(200, 1)
    floats = [Images.of(one.pixels.float() / 255, one.labels, one.classes) for one in (train, test)]
    assert errors_of_real(*floats, FEW, "cpu") == errors_of_real(train, test, FEW, "cpu")
