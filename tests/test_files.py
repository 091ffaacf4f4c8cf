"""Files are whole or as before, locks hold between processes, and what a disk refuses is one Mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.errors import Mistake
from ssgan.files import cache_folder, is_locked, locked, remove_leftovers, replacing, write_text

ROOT = Path(__file__).parent.parent
HOLDER = """
import sys, time
from pathlib import Path
from ssgan.files import locked
with locked(Path(sys.argv[1])) as held:
    print(held, flush=True)
    time.sleep(60)
"""
WRITER = """
import sys
from pathlib import Path
from ssgan.files import replacing
while True:
    for letter in b"ab":
        with replacing(Path(sys.argv[1])) as file:
            for _ in range(200):
                file.write(bytes([letter]) * 1000)
        print("written", flush=True)
"""


@settings(max_examples=30, deadline=None)
@given(contents=st.lists(st.binary(max_size=5000), min_size=1, max_size=4))
def test_the_last_content_is_there_and_nothing_else(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("files") / "x.bin"
    for content in contents:
        with replacing(path) as file:
            file.write(content)
    assert path.read_bytes() == contents[-1] and os.listdir(path.parent) == ["x.bin"]


def test_a_block_that_raises_leaves_the_old_file_and_raises_what_it_raised(tmp_path):
    write_text(tmp_path / "x.txt", "größer")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x.txt") as file:
        file.write(b"half")
        1 / 0
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == "größer" and os.listdir(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("path", ["missing/x.txt", "folder", "file/x.txt", "n" * 300],
                         ids=["no folder", "a folder", "under a file", "a long name"])
def test_what_cannot_be_written_is_a_mistake_and_leaves_nothing(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(Mistake, match="cannot write"):
        write_text(tmp_path / path, "text")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and not os.listdir(tmp_path / "folder")


def test_a_disk_that_fills_is_a_mistake_and_the_old_file_is_whole(tmp_path):
    """The limit of a file's size is met as a full disk is: in the middle of writing."""
    program = f"""
import resource, sys
from pathlib import Path
from ssgan.errors import Mistake
from ssgan.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
path = Path({str(tmp_path / "x.bin")!r})
with replacing(path) as file:
    file.write(b"old")
try:
    with replacing(path) as file:
        file.write(bytes(100_000))
except Mistake as mistake:
    print(mistake, path.read_bytes())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "cannot write" in done.stdout and "b'old'" in done.stdout and os.listdir(tmp_path) == ["x.bin"], done.stderr


def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    path = tmp_path / "x.bin"
    for moment in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
            for _ in range(3):
                process.stdout.readline()
            time.sleep(0.0007 * moment)
            process.send_signal(signal.SIGKILL)
        found = path.read_bytes()
        assert len(found) == 200_000 and len(set(found)) == 1
    remove_leftovers(path)
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_lock_excludes_other_processes_and_ends_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True,
                          cwd=ROOT) as holder:
        assert holder.stdout.readline() == "True\n"
        with locked(path) as held:
            assert not held
        assert is_locked(path)
        holder.kill()
        holder.wait()
        with locked(path, wait_seconds=5) as held:
            assert held
    assert not is_locked(path)


def test_a_lock_is_waited_for_and_excludes_its_own_process_too(tmp_path):
    path = tmp_path / "lock"
    with locked(path) as first:
        began = time.monotonic()
        with locked(path, wait_seconds=0.3) as second:
            assert first and not second and time.monotonic() - began >= 0.3
        assert is_locked(path)
    with locked(path) as again:
        assert again


def test_a_lock_that_cannot_be_made_is_a_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Mistake, match="cannot write"), locked(tmp_path / "file" / "lock"):
        pass


def test_the_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("data", "x.pt") == tmp_path / "ssgan" / "data" / "x.pt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "ssgan"
