"""The environment of a run as MLflow tags: versions, machine, and the git commit of the working directory."""

import getpass
import os
import platform
import subprocess


def environment_tags() -> dict[str, str]:
    """Versions of ssgan, Python, torch and MLflow, platform, CPUs, user, and git's commit if there is one."""
    from importlib.metadata import PackageNotFoundError, version

    tags = {
        "ssgan.python": platform.python_version(),
        "ssgan.platform": platform.platform(),
        "ssgan.cpus": str(os.cpu_count()),
        "mlflow.source.name": "ssgan",
        "mlflow.source.type": "LOCAL",
    }
    for package in ("ssgan", "torch", "mlflow"):
        try:
            tags[f"ssgan.{'version' if package == 'ssgan' else package}"] = version(package)
        except PackageNotFoundError:
            pass  # a bare checkout, or one without tracking
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):
        pass  # a container's user without a name
    commit = _git("rev-parse", "HEAD")
    if commit:
        changes = _git("status", "--porcelain", "--untracked-files=no")
        tags["mlflow.source.git.commit"] = commit
        tags["ssgan.git.dirty"] = "unknown" if changes is None else str(bool(changes)).lower()
    return tags


def _git(*arguments: str) -> str | None:
    """What git says; None without git, without a repository, or if it takes over two seconds."""
    try:
        # Without optional locks, looking never gets in the way of the user's own git.
        done = subprocess.run(["git", "--no-optional-locks", *arguments], capture_output=True, text=True, timeout=2)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
