"""Answers in the user's cache: found once by all runs and processes, by what they follow from, whatever happens to it.
"""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from test_contrastive import RECIPE, forgotten, kept, run  # noqa: F401

from ssgan.config import override
from ssgan.files import locked
from ssgan.techniques import answers_cache, contrastive
from ssgan.techniques.answers_cache import found_once
from ssgan.techniques.contrastive_network import contrastive_network

CLASSES, CERTAINTY = np.array([3, 0, 70000]), np.array([0.1, 1.0, 0.25])


def folder() -> Path:
    return answers_cache.cache_folder("answers")


class Counting:
    """What finds the answers, and how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return CLASSES, CERTAINTY


def test_what_is_read_is_what_was_found_to_the_last_bit():
    find = Counting()
    first, second = (found_once(("a", 1), find) for _ in range(2))
    assert find.asked == 1
    for mine, its in zip(first, second):
        assert mine.dtype == its.dtype and (mine == its).all()
    assert first[0].tolist() == CLASSES.tolist() and first[1].dtype == np.float32
    np.testing.assert_array_equal(first[1], CERTAINTY.astype(np.float32))


def test_another_origin_version_library_or_processor_is_another_file(monkeypatch):
    find = Counting()
    found_once(("a", 1), find)
    for origin in (("a", 2), ("a", "1"), ("b", 1)):
        found_once(origin, find)
    assert find.asked == 4
    monkeypatch.setattr(answers_cache, "VERSION", answers_cache.VERSION + 1)
    found_once(("a", 1), find)
    monkeypatch.setattr(answers_cache, "version", lambda library: f"1 of {library}")
    found_once(("a", 1), find)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    found_once(("a", 1), find)
    assert find.asked == 7


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", "cut", "other names"])
def test_a_broken_file_is_found_anew_and_replaced(content):
    find = Counting()
    found_once(("a",), find)
    path, = folder().glob("*.npz")
    if content == "other names":
        np.savez(path, answers=CLASSES)
    else:
        path.write_bytes(path.read_bytes()[:-30] if content == "cut" else content)
    assert found_once(("a",), find)[0].tolist() == CLASSES.tolist() and find.asked == 2
    found_once(("a",), find)
    assert find.asked == 2


def test_where_the_cache_cannot_be_made_or_written_answers_are_found_each_time(tmp_path, monkeypatch):
    find, place = Counting(), tmp_path / "file"
    place.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    for _ in range(2):
        classes, certainty = found_once(("a",), find)
        assert classes.tolist() == CLASSES.tolist() and certainty.dtype == np.float32  # as it would be read
    assert find.asked == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))

    def no_room(path, *rest, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssgan.files.os.fsync", no_room)
    for _ in range(2):
        assert found_once(("a",), find)[0].tolist() == CLASSES.tolist()
    assert find.asked == 4 and not list(folder().glob("*.npz")) and not list(folder().glob(".*"))


def test_what_a_killed_process_has_left_is_removed():
    find = Counting()
    found_once(("a",), find)
    path, = folder().glob("*.npz")
    path.unlink()
    stale = path.with_name(f".{path.name}.1.tmp")
    stale.write_bytes(b"half")
    found_once(("a",), find)
    assert find.asked == 2 and path.exists() and not stale.exists()


def test_after_waiting_long_it_is_found_here_too(monkeypatch):
    find = Counting()
    found_once(("a",), find)
    path, = folder().glob("*.npz")
    path.unlink()
    monkeypatch.setattr(answers_cache, "WAIT_SECONDS", 0.01)
    with locked(path.with_suffix(".lock")):
        assert found_once(("a",), find)[0].tolist() == CLASSES.tolist()
    assert find.asked == 2 and path.exists()


def test_where_there_are_no_locks_answers_are_kept_all_the_same(monkeypatch):
    def refuse(lock, *rest, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    find = Counting()
    for _ in range(2):
        found_once(("a",), find)
    assert find.asked == 1


def _ask(log: Path) -> None:
    def find():
        with open(log, "a") as file:
            file.write("found\n")
        time.sleep(0.5)
        return CLASSES, CERTAINTY

    assert found_once(("a",), find)[0].tolist() == CLASSES.tolist()


def test_processes_that_ask_at_once_find_it_once(tmp_path):
    spawned = multiprocessing.get_context("fork")
    askers = [spawned.Process(target=_ask, args=(tmp_path / "log",)) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [asker.exitcode for asker in askers] == [0] * 3
    assert (tmp_path / "log").read_text() == "found\n"


def test_what_fails_leaves_no_file_and_no_lock():
    def fails():
        raise ArithmeticError("not converged")

    with pytest.raises(ArithmeticError, match="not converged"):
        found_once(("a",), fails)
    find = Counting()
    found_once(("a",), find)
    assert find.asked == 1


def test_the_oldest_are_forgotten_where_there_is_no_room(monkeypatch):
    find, paths = Counting(), []

    def asked(number: int) -> None:
        found_once((number,), find)
        paths.extend(path for path in folder().glob("*.npz") if path not in paths)
        os.utime(paths[-1], (number, number))

    asked(0)
    monkeypatch.setattr(answers_cache, "ROOM", 3 * paths[0].stat().st_size)
    for number in range(1, 5):
        asked(number)
    assert sorted(folder().glob("*.npz")) == sorted(paths[2:])
    assert len(list(folder().glob("*.lock"))) <= 3
    found_once((0,), find)
    assert find.asked == 6
    monkeypatch.setattr(answers_cache, "ROOM", 1)
    found_once((9,), find)
    assert len(list(folder().glob("*.npz"))) == 1  # the newest stays, however large it is
    found_once((9,), find)
    assert find.asked == 7


def test_a_start_is_found_once_for_what_it_follows_from_by_all_runs(monkeypatch):
    made = []

    def counted(*given):
        made.append(given)
        return contrastive_network(*given)

    monkeypatch.setattr(contrastive, "contrastive_network", counted)

    def answers(*changed: str, seeds: tuple[int, ...] = (3,)) -> dict[str, torch.Tensor]:
        return kept(run(small.trainer(override(RECIPE, list(changed)), seeds=seeds), 1))

    first = answers()
    for again in ((), ("gan.weight=0", "train.learning_rate=0.1"), ("contrastive.weight=0.5",)):
        assert all(torch.equal(first[key], value) for key, value in answers(*again).items()) and len(made) == 1
    for count, other in enumerate(("augment.rotation=11", "labels=12", "contrastive.temperature=0.4",
                                   "contrastive.grouping_steps=1"), 2):
        answers(other)
        assert len(made) == count
    answers(seeds=(4,))
    assert len(made) == 6
