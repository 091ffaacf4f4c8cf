"""The network that scores: its cache, its faults, its error."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import small
import torch

from ssgan.config import ScoreConfig
from ssgan.data.images import Images
from ssgan.evaluation import domain_classifier
from ssgan.evaluation.generator_scores import real_scores

CLASSES = 4


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
    return network, network.answers(data().test.gather(torch.arange(20))).probabilities


def test_the_network_is_trained_once_and_then_read(cache):
    steps = []
    first, answers = make(progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 12) for i in range(1, 13)]
    assert [path.suffix for path in cache.iterdir()] == [".pt"]
    again, same = make(progress=lambda done, total: pytest.fail("trained again"))
    assert (again.name, again.error) == (first.name, first.error) and torch.equal(answers, same)
    assert answers.shape == (20, CLASSES) and torch.allclose(answers.sum(1), torch.ones(20))
    assert first.error == float((answers.argmax(1) != data().test.labels).float().mean())


def test_its_error_is_of_the_images_whose_class_is_known(cache):
    test = data().test
    labels = test.labels.clone()
    labels[::2] = -1
    with_gaps = Images.of(test.pixels, labels, test.classes)
    network = domain_classifier.domain_classifier(data().train, with_gaps, "cpu")
    answers = network.answers(test.gather(torch.arange(len(test)))).probabilities.argmax(1)
    assert network.error == pytest.approx(float((answers[1::2] != test.labels[1::2]).float().mean()))


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
domain_classifier.SETTINGS |= {"least_steps": 12, "most_steps": 12}
data = small.dataset(60, (2, 6, 8), 4)
for _ in range(2):
    network = domain_classifier.domain_classifier(data.train, data.test, "cpu")
print(network.error)
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(domain_classifier.__file__).parents[2])}
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
    answers = network.answers(images.gather(torch.arange(5)))
    assert answers.probabilities.shape == (5, 3) and answers.features.shape[0] == 5


def test_shifted_images_against_a_slow_loop():
    images, reach = small.images(9, (2, 4, 6), 3, seed=5), 2
    index = torch.tensor([3, 8, 3, 0])
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    moved = domain_classifier._shifted(images.pixels, index, reach, generator)
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
    score = real_scores(small.digits(), network, ScoreConfig(samples=360, splits=3), "cpu", labelled=False)
    assert score.inception_score > 8.5 and score.fid < 10
