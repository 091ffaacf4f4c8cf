"""Commands as a person runs them who is not root, whom no permission stops."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KEPT: list[tempfile.TemporaryDirectory] = []
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@functools.cache
def _before() -> list[str]:
    """What is to be put before a command; skips a test where root cannot become somebody else."""
    if os.geteuid():
        return []
    try:
        subprocess.run([*NOBODY, sys.executable, "-c", "import click"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO PERMISSION IS TESTED: root cannot become nobody with a Python that works: {error}")
    return NOBODY


@functools.cache
def _home() -> str:
    """A home folder, in which caches last for all such commands, until the tests end."""
    home = tempfile.TemporaryDirectory(prefix="ssgan-tests-")
    os.chmod(home.name, 0o777)
    KEPT.append(home)
    return home.name


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that everybody may read and write."""
    with tempfile.TemporaryDirectory(prefix="ssgan-tests-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


def ssgan(*words: object, cwd: Path, before: str = "", **options) -> subprocess.CompletedProcess:
    """`ssgan` with these words, by a person without root's rights; `before` is a program that runs first."""
    home = _home()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": home, "XDG_CACHE_HOME": home, "OMP_NUM_THREADS": "1"}
    program = f"{before}\nfrom ssgan.__main__ import main\nmain()"
    return subprocess.run([*_before(), sys.executable, "-c", program, *map(str, words)], cwd=cwd, text=True,
                          capture_output=True, timeout=300, env=environment, **options)
