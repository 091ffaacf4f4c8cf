"""The command `ssgan`. Nothing heavy is imported before a command needs it."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ssgan.cli.ablate import ablate_command
from ssgan.cli.bench import bench_command
from ssgan.cli.compare import compare_command
from ssgan.cli.deliver import deliver_command
from ssgan.cli.explain import explain_command
from ssgan.cli.export import export_command
from ssgan.cli.inspect import inspect_command
from ssgan.cli.predict import predict_command
from ssgan.cli.recipes import recipes_command
from ssgan.cli.run import evaluate_command, run_command, split_command, train_command
from ssgan.cli.sample import sample_command
from ssgan.cli.score import score_command
from ssgan.cli.streams import Unwritable, safe_streams
from ssgan.cli.sweep import sweep_command
from ssgan.cli.tune import tune_command
from ssgan.cli.turing import turing_command
from ssgan.cli.ui import ui_command
from ssgan.errors import Failed, Mistake
from ssgan.files import shown

BY_NAME = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EROFS)


class _Doors(click.Group):
    """Turns what a person can cause into one to three lines and an exit code."""

    def main(self, *arguments, **options):
        with safe_streams():
            try:
                try:
                    return super().main(*arguments, **options)
                finally:
                    sys.stdout.flush()
            except Unwritable as error:
                _end(f"stdout cannot be written: {error.strerror}. What was done by then is kept.", 1)
            except BrokenPipeError:  # the reader of our output has gone
                sys.exit(141)

    def invoke(self, context: click.Context):
        try:
            with _interruptible():
                return super().invoke(context)
        except (Exception, KeyboardInterrupt) as error:
            if _by_interrupt(error):
                _end("stopped.", 130)
            if isinstance(error, Mistake | Failed):
                _end(str(error), 2 if isinstance(error, Mistake) else 1)
            if isinstance(error, OSError) and error.errno in BY_NAME and error.filename is not None:
                _end(f"{error.filename}: {error.strerror}. Name another place, or give yourself permission.", 2)
            raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt while there is somebody to hear of it: before and after, where `__main__` has
    begun, it ends the process without a word.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    before = sys.unraisablehook
    try:
        sys.unraisablehook = lambda unraisable: _raise_again(unraisable, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.unraisablehook = before


def _raise_again(unraisable, before: Callable) -> None:
    """Where Ctrl-C comes while Python cleans up, it would be told with a traceback and then be forgotten."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
    else:
        before(unraisable)


def _by_interrupt(error: BaseException | None) -> bool:
    """Whether it came of Ctrl-C, which compiled modules turn into other errors while they are imported."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _end(text: str, code: int) -> None:
    print(f"ssgan: {shown(text, breaks=True)}", file=sys.stderr)
    sys.exit(code)


@click.group(cls=_Doors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ssgan")
def main() -> None:
    """A classifier from very few labels.

    \b
    ssgan run --dataset digits --labels 100       needs no network
    ssgan run --dataset mnist --labels 100        from labels to a scored classifier, tracked in MLflow
    ssgan sweep --dataset digits --labels 20,50,100,200 --seeds 3     what more labels would bring
    """
    # Threads that wait spin for microseconds, then sleep: for ever, they cost up to ten times the time beside other
    # work.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # torch's profiler tells on stderr when it starts and stops, and calls a machine without a GPU an error.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")


for command in (run_command, inspect_command, sweep_command, ablate_command, compare_command, tune_command,
                split_command, train_command, evaluate_command, score_command, sample_command, turing_command,
                export_command, predict_command, bench_command, recipes_command, explain_command, ui_command,
                deliver_command):
    main.add_command(command)


