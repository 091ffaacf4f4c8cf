"""The score of generated images against the plain measures, and the network that scores: its cache, its faults, its
error.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small
import torch

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import domain_classifier, metrics
from ssgan.evaluation import inception_score as scoring

CLASSES = 4
REAL = Images.of(  # in class order, as the files of some data sets are
    torch.arange(40).view(40, 1, 1, 1).expand(40, 1, 2, 2).to(torch.uint8) * 6, torch.arange(40) // 10, tuple("abcd"))


def probabilities_of(x: torch.Tensor) -> torch.Tensor:
    """Brighter images belong to later classes."""
    centres = torch.tensor([0.1, 0.35, 0.6, 0.85])
    return (-(30 * (x.mean((1, 2, 3))[:, None] - centres)) ** 2).softmax(1)


NETWORK = scoring.Network("brightness", 0.25, probabilities_of)


def samples_of(start: int, count: int) -> torch.Tensor:
    """Image i has the brightness i * 0.377, without its whole part."""
    return (torch.arange(start, start + count) * 0.377 % 1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def found(samples=2300, splits=5, **changes):
    return scoring.score(changes.get("samples_of", samples_of), REAL, changes.get("network", NETWORK),
                         samples=samples, splits=splits, generator="average")


def test_the_score_is_that_of_all_samples_in_order():
    result = found()
    generated = probabilities_of(samples_of(0, 2300)).double().numpy()
    assert (result.inception_score, result.std) == pytest.approx(metrics.inception_score(generated, 5))
    assert result.histogram.tolist() == np.bincount(generated.argmax(1), minlength=4).tolist()
    assert (result.entropy, result.entropy_share) == metrics.class_entropy(result.histogram)
    assert (result.samples, result.splits, result.generator) == (2300, 5, "average")
    assert (result.network, result.network_error) == ("brightness", 0.25)


def test_images_are_asked_for_in_order_and_in_batches():
    asked = []

    def noted(start, count):
        asked.append((start, count))
        return samples_of(start, count)

    found(samples_of=noted)
    assert asked == [(0, 1000), (1000, 1000), (2000, 300)]


def test_fewer_real_images_than_samples_are_compared_at_their_own_count():
    result = found()
    assert result.real_samples == 40
    assert result.matched == pytest.approx(metrics.inception_score(probabilities_of(samples_of(0, 40)).numpy(), 5)[0])
    enough = found(samples=30)
    assert (enough.real_samples, enough.matched) == (30, enough.inception_score)


def test_real_images_are_shuffled_before_they_are_cut():
    result = found()
    in_order = metrics.inception_score(probabilities_of(REAL.gather(torch.arange(40))).numpy(), 5)[0]
    assert in_order < 1.8, "eight images of one or two classes each"
    assert result.real > 2.2 and result.real_std < 1
    whole = found(splits=1)
    assert whole.real == pytest.approx(metrics.inception_score(
        probabilities_of(REAL.gather(torch.arange(40))).numpy(), 1)[0])
    assert found().real == result.real, "always the same order"


def test_what_is_told_fits_into_json():
    result = found()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["samples_per_split"] == 460 and summary["score_network"] == "brightness"
    assert sum(summary["class_histogram"]) == 2300
    measured = result.measurements()
    assert measured["score/inception_score"] == result.inception_score and measured["score/network_error"] == 0.25
    assert all(type(value) is float for value in measured.values())


def test_the_trained_classifier_itself_can_score_and_says_so():
    own = scoring.itself(lambda x: probabilities_of(x).log())
    result = found(network=own)
    assert result.inception_score == pytest.approx(found().inception_score)
    assert "itself" in result.network and result.network_error is None
    assert "score/network_error" not in result.measurements()


def test_impossible_parts_and_broken_images_are_mistakes():
    with pytest.raises(Mistake, match=r"splits = 50 .* 40 images"):
        found(splits=50)
    with pytest.raises(Mistake, match="splits = 30 .* 20 images"):
        found(samples=20, splits=30)
    with pytest.raises(Mistake, match="not finite"):
        found(samples_of=lambda start, count: samples_of(start, count) * float("nan"))


@functools.cache
def data():
    return small.dataset(60, (2, 6, 8), CLASSES)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and a training that is short."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(domain_classifier, "SETTINGS", domain_classifier.SETTINGS
                        | {"least_steps": 12, "most_steps": 12})
    return tmp_path / "cache" / "ssgan" / "classifiers"


def make(train=None, progress=lambda done, total: None):
    network = domain_classifier.domain_classifier(train or data().train, data().test, "cpu", progress)
    return network, network.probabilities(data().test.gather(torch.arange(20)))


def test_the_network_is_trained_once_and_then_read(cache):
    steps = []
    first, answers = make(progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 12) for i in range(1, 13)]
    assert [path.suffix for path in cache.iterdir()] == [".pt"]
    again, same = make(progress=lambda done, total: pytest.fail("trained again"))
    assert (again.name, again.error) == (first.name, first.error) and torch.equal(answers, same)
    assert answers.shape == (20, CLASSES) and torch.allclose(answers.sum(1), torch.ones(20))
    assert first.error == float((answers.argmax(1) != data().test.labels).float().mean())


def test_the_network_is_a_function_of_data_and_settings(cache, monkeypatch):
    torch.manual_seed(1)
    _, answers = make()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "other"))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    _, same = make()
    assert torch.equal(answers, same) and torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(domain_classifier, "SETTINGS", domain_classifier.SETTINGS | {"seed": 1})
    _, other = make()
    assert not torch.equal(answers, other)


def test_other_labels_make_another_file(cache):
    make()
    train = data().train
    make(Images.of(train.pixels, train.labels.flip(0), train.classes))
    assert len(list(cache.iterdir())) == 2


BROKEN = {
    "garbage": lambda whole: b"no network",
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "changed": lambda whole: whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1])
    + whole[len(whole) // 2 + 1:],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_made_anew(cache, kind):
    _, answers = make()
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(BROKEN[kind](whole))
    _, same = make()
    assert torch.equal(answers, same) and list(cache.iterdir()) == [path]
    make(progress=lambda done, total: pytest.fail("the file was not mended"))


@pytest.mark.parametrize(
    "content", [{}, {"state": {"x": torch.ones(2)}, "error": 0.5}, {"state": 3, "error": 0.5}, [1]])
def test_a_foreign_file_is_made_anew(cache, content):
    _, answers = make()
    (path,) = cache.iterdir()
    torch.save(content, path)
    _, same = make()
    assert torch.equal(answers, same)
    make(progress=lambda done, total: pytest.fail("the file was not mended"))


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(cache, monkeypatch, tmp_path):
    _, answers = make()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    network, same = make()
    assert torch.equal(answers, same)
    assert "not kept in the cache: Not a directory" in network.name


@pytest.mark.slow
def test_two_processes_at_once_do_each_other_no_harm(cache):
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import small, torch
from ssgan.evaluation import domain_classifier
from ssgan.evaluation import inception_score as scoring
domain_classifier.SETTINGS |= {"least_steps": 12, "most_steps": 12}
data = small.dataset(60, (2, 6, 8), 4)
for _ in range(2):
    network = domain_classifier.domain_classifier(data.train, data.test, "cpu")
print(network.error)
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(scoring.__file__).parents[2])}
    here = str(Path(__file__).parents[1])
    running = [subprocess.Popen([sys.executable, "-c", program, here], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
               for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert len(list(cache.iterdir())) == 1
    make(progress=lambda done, total: pytest.fail("what they left is not whole"))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (2, 3, 17), (3, 32, 32)])
def test_images_of_any_shape_can_be_scored(cache, shape):
    images = small.images(40, shape, 3, seed=0)
    network = domain_classifier.domain_classifier(images, images, "cpu")
    assert network.probabilities(images.gather(torch.arange(5))).shape == (5, 3)


def test_shifted_images_against_a_slow_loop():
    images, reach = small.images(9, (2, 4, 6), 3, seed=5), 2
    index = torch.tensor([3, 8, 3, 0])
    padded = torch.nn.functional.pad(images.pixels, (reach,) * 4)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    moved = domain_classifier._shifted(padded, index, reach, generator)
    down, right = torch.randint(0, 2 * reach + 1, (2, 4, 1), generator=generator.set_state(state))
    for place, i in enumerate(index.tolist()):
        for row in range(4):
            for column in range(6):
                y, x = row + int(down[place]) - reach, column + int(right[place]) - reach
                inside = 0 <= y < 4 and 0 <= x < 6
                expected = images.pixels[i, :, y, x].float() / 255 if inside else torch.zeros(2)
                assert torch.allclose(moved[place, :, row, column], expected)
    assert len({*down.flatten().tolist(), *right.flatten().tolist()}) > 1


def test_on_digits_the_network_is_good_and_threads_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    threads = torch.get_num_threads()
    network = domain_classifier.domain_classifier(small.digits().train, small.digits().test, "cpu")
    assert network.error <= 0.02
    assert torch.get_num_threads() == threads
    real = small.digits().test
    result = scoring.score(lambda start, count: real.gather(torch.arange(start, start + count)), real, network,
                           samples=360, splits=3, generator="average")
    assert result.real > 8.5 and result.entropy_share > 0.99
