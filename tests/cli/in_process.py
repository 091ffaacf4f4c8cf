"""The command line in this process, for tests that type many commands after one another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssgan.cli import main
from ssgan.evaluation import domain_classifier, figures

Command = Callable[..., Result]


@contextmanager
def commands_in(folder: Path, *, light: bool = False) -> Iterator[Command]:
    """What types a command in that folder, with the store there; `light`: the scoring network is trained little, into a
    cache of its own, and the runs' pictures, which take longer than the rest, are not drawn.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if light:
            patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
            patch.setitem(domain_classifier.SETTINGS, "most_steps", 20)
            for name in ("confusion_picture", "mistakes_sheet", "class_histogram_picture"):
                patch.setattr(figures, name, lambda *arguments, **options: None)
        yield lambda *arguments: CliRunner().invoke(main, arguments)
