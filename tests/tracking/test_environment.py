"""The tags that say where a run was made."""

import os
import platform
import subprocess

import pytest

from ssgan.tracking import environment_tags


@pytest.fixture(autouse=True)
def lonely(tmp_path, monkeypatch):
    """A working directory of its own, above which git finds no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("HOME", str(tmp_path))


def git(*arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_versions_without_importing_them():
    tags = environment_tags()
    assert tags["ssgan.python"] == platform.python_version() and tags["ssgan.cpus"] == str(os.cpu_count())
    assert tags["ssgan.torch"][0].isdigit() and tags["ssgan.mlflow"][0].isdigit()
    assert all(isinstance(value, str) for value in tags.values())
    assert "mlflow.source.git.commit" not in tags


def test_the_commit_of_the_working_directory_and_whether_it_was_changed(tmp_path):
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "first")
    (tmp_path / "untracked").write_text("")
    tags = environment_tags()
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD") and tags["ssgan.git.dirty"] == "false"
    (tmp_path / "a").write_text("2")
    assert environment_tags()["ssgan.git.dirty"] == "true"


def test_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "mlflow.source.git.commit" not in environment_tags()
