"""Checkpoints: whole or not at all, and never code."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssgan.errors import Mistake
from ssgan.training import checkpoint as checkpoints

CONTENT = {"done": 7, "seconds": 1.5, "name": "größer", "none": None,
           "flat": [torch.arange(6.0).view(2, 3), torch.ones(2, dtype=torch.bfloat16)],
           "fixed": {"a": torch.tensor([1, -1])}}


def same(a, b) -> bool:
    """Whether two contents are equal in values and types."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, CONTENT)
    return path


def test_what_was_saved_is_loaded(path):
    assert same(checkpoints.load(path), CONTENT)
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_saving_again_replaces(path):
    checkpoints.save(path, CONTENT | {"done": 8})
    assert checkpoints.load(path)["done"] == 8
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_a_save_that_breaks_off_leaves_the_old_file(path, monkeypatch):
    def half(content, file):
        file.write(b"PK half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(Mistake, match="no space"):
        checkpoints.save(path, {})
    assert same(checkpoints.load(path), CONTENT)
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_the_file_is_on_the_disk_before_it_takes_the_name(path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append(("fsync", os.fstat(file).st_size)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append(("replace", os.path.getsize(a))), replace(a, b)))
    checkpoints.save(path, CONTENT)
    assert (events[:2] == [("fsync", path.stat().st_size), ("replace", path.stat().st_size)]
            and [name for name, _ in events[2:]] == ["fsync"])


def test_a_truncated_file_is_a_mistake_wherever_it_ends(path):
    whole = path.read_bytes()
    for size in [0, 1, 4, len(whole) - 1, *range(10, len(whole), 151)]:
        path.write_bytes(whole[:size])
        with pytest.raises(Mistake, match="cannot be read as a checkpoint: ."):
            checkpoints.load(path)


def test_a_changed_bit_is_found_or_does_not_matter(path):
    whole = path.read_bytes()
    found = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1:])
        try:
            assert same(checkpoints.load(path), CONTENT), f"the bit at {place} changed the content unseen"
        except Mistake:
            found += 1
    assert found > 50


class Payload:
    """What a hostile pickle runs when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_file_is_not_run(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    torch.save(Payload(), path)
    with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
        checkpoints.load(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
        checkpoints.load(path)
    assert not (path.parent / "executed").exists()


@pytest.mark.parametrize("content", [b"hello", b"\x80\x02.", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60)])
def test_a_foreign_file_is_a_mistake(path, content):
    path.write_bytes(content)
    with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
        checkpoints.load(path)


def test_a_missing_file_and_a_folder_are_mistakes(path):
    for other in (path.parent / "none.pt", path.parent):
        with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
            checkpoints.load(other)


def test_a_disk_that_fills_while_it_is_written_is_a_mistake_and_the_old_checkpoint_is_whole(path):
    """The limit of a file's size is met as a full disk is: in the middle of torch's writing."""
    program = f"""
import resource
from pathlib import Path
import torch
from ssgan.errors import Mistake
from ssgan.training import checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    checkpoint.save(Path({str(path)!r}), {{"flat": torch.zeros(1_000_000)}})
except Mistake as mistake:
    print(mistake)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout.startswith(
        f"cannot write {path}: ") and "File too large" in done.stdout, done.stdout + done.stderr
    assert same(checkpoints.load(path), CONTENT)
    assert os.listdir(path.parent) == ["checkpoint.pt"]
