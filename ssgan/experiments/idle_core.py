"""A core that a run leaves idle trains what scores images, and trains and fits the baselines, in their own process.

It begins before the run's step is compiled, with what needs nothing of that. The process writes nothing but the
baselines' checkpoints, what scikit-learn's came to, and the user's cache, with which the run goes on: what it did not
come to, the run does itself.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ssgan.data.named import load
from ssgan.data.own_data import Reading
from ssgan.evaluation.baselines import trained_without
from ssgan.experiments import baseline_runs
from ssgan.experiments.executors.executor import End, Executor, Job
from ssgan.experiments.executors.local import LocalExecutor
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Group, Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.stages import make_split, ready_scoring, saved_split, watched
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import Resolved, prepare_process
from ssgan.training.loop import Interrupted
from ssgan.training.trainer import step_count

STOP_SECONDS = 30.0  # for a last step and a checkpoint
LEAST_STEPS = 500  # of a run; fewer are made before a process has begun


@dataclass(frozen=True, eq=False)
class BaselineJob(Job):
    """The baselines of one lane group."""

    members: list[Member]
    folders: list[Path]
    dataset: str  # by its name
    data_source: str
    scored: bool  # whether what scores images is made ready too

    def run(self, progress: Progress, stop: Stop) -> End:
        prepare_process()
        folders = [WorkFolder(path) for path in self.folders]
        recipe = self.members[0].recipe
        reading = Reading(recipe.image_size, skip_broken=True, colours=recipe.colours)  # what is broken has been told
        dataset = load(self.dataset, Path(self.data_source), reading)
        try:
            torch.set_num_threads(1)  # the other cores are the run's
            if self.scored:
                ready_scoring(recipe, dataset, "cpu", watched(progress, stop))
            _await_begun(folders, stop)
            resolved = Resolved(**folders[0].facts["resolved"])
            group = Group(self.members, folders, dataset, resolved, progress, stop)
            tables = [saved_split(folder, dataset) for folder in folders]
            baseline_runs.train_all(group, tables)
            baseline_runs.fit_all(group, tables)
        except Interrupted as stopped:
            return End(stopped_at=stopped.step)
        return End()


def _await_begun(folders: list[WorkFolder], stop: Stop) -> None:
    """Waits until the run has decided how it trains, and on what. Raises Interrupted."""
    while not all(folder.stage_finished("split") for folder in folders):
        if stop.requested:
            raise Interrupted(0)
        time.sleep(0.1)


class BaselinesBeside:
    """The job while the run is at work."""

    def __init__(self, group: Group, data_source: str, scored: bool, executor: Executor):
        self.group, self.executor = group, executor
        folders = [folder.path for folder in group.folders]
        self.task = executor.submit(BaselineJob(group.members, folders, group.dataset.name, data_source, scored))

    def wait(self) -> None:
        """Shows how far it is until it is done, and says once where it has failed. Raises Interrupted when the run is
        asked to stop.
        """
        if self.task.end is not None:
            return
        shown = self.task.stage
        with self.group.stop.polite():
            while not self.executor.wait(0.2):
                if self.group.stop.requested:
                    raise Interrupted(self.task.step)
                if self.task.stage != shown:
                    shown = self.task.stage
                    self.group.progress.begin(shown, self.task.total, self.task.step)
                self.group.progress.update(self.task.step)
        self.group.progress.end()
        if self.task.end.reason:
            self.group.progress.say(f"the baselines were to be trained beside the run: {self.task.end.reason}; "
                                    f"what is left undone is done now")

    def end(self) -> None:
        """Asks it to stop where it is still at work, and gives it time for that."""
        self.executor.stop()
        until = time.monotonic() + STOP_SECONDS
        while self.task.end is None and time.monotonic() < until:
            self.executor.wait(0.2)


def pays(group: Group) -> bool:
    """Whether the group has such baselines before it and steps enough, and leaves a core idle for them."""
    before = trained_without(group.recipe) and not all(folder.stage_finished("evaluate") for folder in group.folders)
    idle = group.resolved.device == "cpu" and group.resolved.threads < len(os.sched_getaffinity(0))
    if not before or not idle:
        return False
    return step_count(group.recipe, make_split(group.members[0], group.dataset)) >= LEAST_STEPS


@contextlib.contextmanager
def baselines_beside(group: Group, data_source: str, *, scored: bool) -> Iterator[BaselinesBeside | None]:
    """The job while it lasts; None where it does not pay. `scored` says whether generators will be."""
    if not pays(group):
        yield None
        return
    with LocalExecutor(1, None, group.progress.say) as executor:
        beside = BaselinesBeside(group, data_source, scored, executor)
        try:
            yield beside
        finally:
            beside.end()
