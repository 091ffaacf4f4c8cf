"""The command `ssgan`. Nothing heavy is imported before a command needs it."""

import os
import sys

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
from ssgan.cli.run import evaluate_command, run_command, score_command, split_command, train_command
from ssgan.cli.sample import sample_command
from ssgan.cli.sweep import sweep_command
from ssgan.cli.tune import tune_command
from ssgan.cli.ui import ui_command
from ssgan.errors import Failed, Mistake


class _Doors(click.Group):
    """Turns what a person can cause into one to three lines and an exit code."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except Mistake as mistake:
            _end(str(mistake), 2)
        except Failed as failed:
            _end(str(failed), 1)
        except KeyboardInterrupt:
            _end("stopped.", 130)
        except BrokenPipeError:  # the reader of our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)


def _end(text: str, code: int) -> None:
    print(f"ssgan: {text}", file=sys.stderr)
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


for command in (run_command, inspect_command, sweep_command, ablate_command, compare_command, tune_command,
                split_command, train_command, evaluate_command, score_command, sample_command, export_command,
                predict_command, bench_command, recipes_command, explain_command, ui_command, deliver_command):
    main.add_command(command)


