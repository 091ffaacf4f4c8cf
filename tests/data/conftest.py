"""Fixtures of the tests of data."""

import pytest
from named_files import made_files


@pytest.fixture
def small(monkeypatch) -> dict[str, dict[str, bytes]]:
    """Small made files by data set and name; what is known of the real ones is changed to be true of them."""
    return made_files(monkeypatch)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A user's cache folder that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
