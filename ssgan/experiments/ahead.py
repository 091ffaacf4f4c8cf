"""The networks of a run's baselines, trained in a process of their own while the run trains on another core.

The process reads JSON lines from stdin (where the run is, then perhaps the wish to stop) and tells on stdout how far it is. It writes
nothing but the baselines' checkpoints, with which the run goes on: what it did not come to, the run does itself.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from ssgan.experiments import child
from ssgan.config import build
from ssgan.data.named import load
from ssgan.data.splits import Split
from ssgan.experiments.progress import Told
from ssgan.training.execution import Resolved, prepare_process
from ssgan.experiments.member import Group, Member
from ssgan.experiments.stages import has_alone, split, train_alone
from ssgan.experiments.interrupt import Stop
from ssgan.training.trainer import step_count
from ssgan.training.loop import Interrupted
from ssgan.tracking.workfolder import WorkFolder

STOP_SECONDS = 30.0  # for a last step and a checkpoint
LEAST_STEPS = 500  # of a run; fewer are made before a process has begun


def pays(group: Group, steps: int) -> bool:
    """Whether a run of so many steps has such baselines before it, and leaves a core idle for them."""
    ahead = has_alone(group.recipe) and steps >= LEAST_STEPS and not all(folder.stage_finished("evaluate") for folder in group.folders)
    return ahead and group.resolved.device == "cpu" and group.resolved.threads < len(os.sched_getaffinity(0))


class Ahead:
    """The process as the run sees it."""

    def __init__(self, group: Group, data_source: str):
        self.group = group
        self.process = child.begin("ssgan.experiments.ahead")
        child.tell(self.process, {"folders": [str(folder.path) for folder in group.folders], "names": [member.recipe_name for member in group.members],
                                  "dataset": group.dataset.name, "data_source": data_source})

    def wait(self) -> None:
        """Shows how far it is until it is done. Raises Interrupted when the run is asked to stop."""
        shown, step, rest = None, 0, b""
        with selectors.DefaultSelector() as selector, self.group.stop.polite():
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                ready = selector.select(timeout=0.2)
                if self.group.stop.requested:
                    raise Interrupted(step)
                said = os.read(self.process.stdout.fileno(), 1 << 16) if ready else None
                if said == b"":
                    break
                *lines, rest = (rest + (said or b"")).split(b"\n")
                for told in map(json.loads, lines):
                    if "say" in told:
                        self.group.progress.say(told["say"])
                        continue
                    step = told["step"]
                    if told["stage"] != shown:
                        shown = told["stage"]
                        self.group.progress.begin(shown, told["total"], step)
                    self.group.progress.update(step)
        self.group.progress.end()
        if self.process.wait():
            self.group.progress.say(f"the process that trained the baselines beside the run ended with exit code {self.process.returncode}; "
                                    f"what it left undone is done now")

    def end(self) -> None:
        """Asks it to stop where it is still at work, and sees it go."""
        child.tell(self.process, {"stop": True})
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=STOP_SECONDS)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def ahead(group: Group, tables: list[Split], data_source: str) -> Iterator[Ahead | None]:
    """The process while it lasts; None where it does not pay."""
    process = Ahead(group, data_source) if pays(group, step_count(group.recipe, tables[0])) else None
    try:
        yield process
    finally:
        if process:
            process.end()


def main() -> None:
    """What the process does: the networks of one group's baselines, until it is done, asked to stop, or alone."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is for the person
    lines = iter(sys.stdin.readline, "")
    first, stop = json.loads(next(lines)), Stop()

    def listen() -> None:
        next(lines, None)  # the wish to stop, or the end of the run
        stop.requested = True

    threading.Thread(target=listen, daemon=True).start()
    prepare_process()
    folders = [WorkFolder(Path(path)) for path in first["folders"]]
    described = [folder.facts for folder in folders]
    members = [Member(build(facts["settings"]["recipe"], "run.json"), facts["seed"], facts["split_seed"], name)
               for facts, name in zip(described, first["names"])]
    group = Group(members, folders, load(first["dataset"], Path(first["data_source"])), Resolved(**described[0]["resolved"]), Told(out), stop)
    with contextlib.suppress(Interrupted):  # its checkpoint is saved
        train_alone(group, split(group))


if __name__ == "__main__":
    main()
