"""Fixtures that tests of several modules use."""

import os

# Before torch is imported: the tests' tensors are small, and threads that wait for each other cost more than they
# bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


from pathlib import Path

import pytest

from ssgan import settings


@pytest.fixture(autouse=True)
def no_old_name_is_written(monkeypatch):
    """No test has to tell of old names that another one has written in this process."""
    monkeypatch.setattr(settings, "_written", {})


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data, which holds MNIST/raw; a test that asks for it is marked `mnist`."""
    folder = os.environ.get("SSGAN_DATA_DIR")
    if not folder:
        pytest.skip("SSGAN_DATA_DIR is not set: name the folder that holds MNIST/raw to run the tests on real MNIST")
    return Path(folder)


@pytest.fixture(scope="session")
def cases(data_dir) -> Path:
    """The folder of small inputs of kinds that have failed elsewhere, beside that of real data."""
    folder = data_dir.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: the tests on inputs of kinds that have failed elsewhere are left out")
    return folder
