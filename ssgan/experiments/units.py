"""Units of a sweep, members that go through the stages together: one brought to its end here, or many side by side."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ssgan.data.dataset import Dataset
from ssgan.data.named import load
from ssgan.data.own_data import Reading
from ssgan.errors import Failed, Mistake
from ssgan.experiments.executors.executor import End, Executor, Job, Task
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.tracking import Store
from ssgan.training.execution import prepare_process
from ssgan.training.loop import Interrupted

# of one unit alone; torch's are RuntimeErrors, a system of equations that is not solved is an ArithmeticError
FAULTS = (Failed, Mistake, OSError, RuntimeError, MemoryError, ArithmeticError)
STOPPED = "stopped"  # how a unit ends that was told to

Unit = list[Member]
Shown = Callable[[list[tuple[Unit, str, float]]], None]  # each running unit, its stage, how much of the stage is done


def run_unit(unit: Unit, dataset: Dataset, setting: Setting) -> str:
    """Brings a unit to its end; in one line why it could not be brought there, or nothing. Raises Interrupted."""
    try:
        run_group(unit, dataset, setting, until=setting.until)
    except FAULTS as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""


@dataclass(frozen=True, eq=False)
class UnitJob(Job):
    """A unit for another process, which loads the data by their name."""

    unit: Unit
    dataset: str
    setting: Setting

    @classmethod
    def of(cls, unit: Unit, dataset: str, setting: Setting) -> "UnitJob":
        """With what of the setting can go to another process: its store is opened there anew."""
        store = setting.store and Store(setting.store.uri, setting.store.experiment, setting.store.artifact_root)
        return cls(unit, dataset, replace(setting, store=store, progress=Progress(quiet=True), stop=Stop()))

    def run(self, progress: Progress, stop: Stop) -> End:
        prepare_process()
        try:
            recipe = self.unit[0].recipe
            dataset = _dataset(self.dataset, self.setting.data_source, recipe.image_size, recipe.colours)
            return End(run_unit(self.unit, dataset, replace(self.setting, progress=progress, stop=stop)))
        except Interrupted as stopped:
            return End(stopped_at=stopped.step)


def side_by_side(units: Iterable[Unit], executor: Executor, dataset: str, setting: Setting,
                 shown: Shown) -> Iterator[tuple[Unit, str]]:
    """Every unit with how it ended, in the order of their ends; `shown` is told how far the running ones are.

    Raises Interrupted when `setting.stop` says so, as soon as the units at work have saved their checkpoints.
    """
    waiting, running, step = iter(units), {}, 0
    with setting.stop.polite():
        def begin(unit: Unit) -> None:
            running[executor.submit(UnitJob.of(unit, dataset, setting))] = unit

        for unit in islice(waiting, executor.places):
            begin(unit)
        while running:
            ended: list[Task] = executor.wait(0.2)
            if setting.stop.requested:
                waiting = iter(())
                executor.stop()
            for task in ended:
                step = max(step, task.step if task.end.stopped_at is None else task.end.stopped_at)
                yield running.pop(task), task.end.reason if task.end.stopped_at is None else STOPPED
                for following in islice(waiting, 1):
                    begin(following)
            shown([(unit, task.stage, task.part) for task, unit in running.items()])
    if setting.stop.requested:
        raise Interrupted(step)


@functools.lru_cache(maxsize=1)
def _dataset(name: str, data_source: str, image_size: int, colours: str) -> Dataset:
    """The data of this process's units; what is broken in them has been told."""
    return load(name, Path(data_source), Reading(image_size, skip_broken=True, colours=colours))
