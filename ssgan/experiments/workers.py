"""Worker processes of a sweep: units of members side by side, where a run leaves cores idle.

A worker reads JSON lines from stdin (the setting, then units, or the wish to stop) and writes JSON lines: progress, and how units ended.
"""

import json
import os
import selectors
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ssgan.experiments import child
from ssgan.config import build
from ssgan.settings import as_table
from ssgan.data.named import load
from ssgan.errors import Failed, Mistake
from ssgan.experiments.progress import Told
from ssgan.training.execution import prepare_process
from ssgan.experiments.run import Setting, run_group
from ssgan.experiments.member import Member
from ssgan.tracking import Store
from ssgan.training.loop import Interrupted

FAULTS = (Failed, Mistake, OSError, RuntimeError, MemoryError)  # of one unit, which the others need not share; torch's are RuntimeErrors
STOPPED = "stopped"  # how a unit ends that was told to

Unit = list[Member]
Shown = Callable[[list[tuple[Unit, str, float]]], None]  # each running unit, its stage, and how much of the stage is done


def run_unit(unit: Unit, dataset, setting: Setting) -> str:
    """Brings a unit to its end; returns in one line why it could not be brought there, or nothing. Raises Interrupted."""
    try:
        run_group(unit, dataset, setting, until=setting.until)
    except FAULTS as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""


def side_by_side(units: Iterable[Unit], count: int, dataset_name: str, setting: Setting, shown: Shown) -> Iterator[tuple[Unit, str]]:
    """Every unit with how it ended, in the order of their ends; `shown` is told how far the running ones are.

    Raises Interrupted when `setting.stop` says so, as soon as the workers have saved their checkpoints.
    """
    waiting, workers = iter(units), []
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    try:
        with selectors.DefaultSelector() as selector, setting.stop.polite():
            def start(unit: Unit) -> None:
                worker = _Worker(dataset_name, setting, threads)
                workers.append(worker)
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
                worker.begin(unit)

            for unit in (first for _, first in zip(range(count), waiting)):
                start(unit)
            while any(worker.unit for worker in workers):
                ready = selector.select(timeout=0.2)
                if setting.stop.requested:
                    waiting = iter(())
                    for worker in workers:
                        worker.stop()
                for key, _ in ready:
                    worker = key.data
                    ended = worker.read()
                    if worker.dead:
                        selector.unregister(key.fileobj)
                    if ended is not None:
                        yield ended
                        following = next(waiting, None)
                        if following:
                            start(following) if worker.dead else worker.begin(following)
                shown([(worker.unit, worker.stage, worker.part) for worker in workers if worker.unit])
        if setting.stop.requested:
            raise Interrupted(max((worker.step for worker in workers), default=0))
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(self, dataset_name: str, setting: Setting, threads: int):
        self.process = child.begin("ssgan.experiments.workers", threads)
        self.say = setting.progress.say
        self.unit: Unit | None = None
        self.part, self.stage, self.step, self.dead, self._asked, self._rest = 0.0, "", 0, False, False, b""
        store = setting.store
        child.tell(self.process, {"work": str(setting.work), "store": store and [store.uri, store.experiment, str(store.artifact_root) if store.artifact_root else None],
                                  "device": setting.device, "data_source": setting.data_source, "tags": setting.tags, "until": setting.until,
                                  "dataset": dataset_name})

    def begin(self, unit: Unit) -> None:
        self.unit, self.part, self.stage = unit, 0.0, "starting"
        child.tell(self.process, {"unit": [[as_table(member.recipe), member.seed, member.split_seed, member.recipe_name] for member in unit]})

    def stop(self) -> None:
        if not self._asked:
            self._asked = True
            child.tell(self.process, {"stop": True})

    def end(self) -> None:
        """Lets an idle worker go, and kills one that is at work: what it has not saved is done again."""
        if self.unit is not None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # it died before it had read everything
        self.process.wait()

    def read(self) -> tuple[Unit, str] | None:
        """Takes in what the worker has said; its unit and how it ended, if it did."""
        said = os.read(self.process.stdout.fileno(), 1 << 16)
        if not said:
            self.dead = True
            return self._ended(f"its process died with exit code {self.process.wait()}") if self.unit else None
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "say" in told:
                self.say(told["say"])
            elif "stage" in told:
                self.stage, self.step, self.part = told["stage"], told["step"], told["step"] / max(1, told["total"])
            elif "interrupted" in told:
                self.step = told["interrupted"]
                return self._ended(STOPPED)
            else:
                return self._ended(told["ended"])
        return None

    def _ended(self, reason: str) -> tuple[Unit, str]:
        unit, self.unit = self.unit, None
        return unit, reason


def main() -> None:
    """What a worker process does: one unit after the other, until its parent has no more or is gone."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is for the person
    lines = iter(sys.stdin.readline, "")
    first = json.loads(next(lines))
    store = Store(first["store"][0], first["store"][1], Path(first["store"][2]) if first["store"][2] else None) if first["store"] else None
    setting = Setting(Path(first["work"]), store, first["device"], first["data_source"], Told(out), tags=first["tags"], until=first["until"])
    units: list[list] = []
    arrived = threading.Condition()

    def listen() -> None:
        for line in lines:
            message = json.loads(line)
            with arrived:
                setting.stop.requested = setting.stop.requested or "stop" in message
                units.extend([message["unit"]] if "unit" in message else [])
                arrived.notify()
        os._exit(1)  # the parent is gone, or has no more for us

    threading.Thread(target=listen, daemon=True).start()
    prepare_process()
    dataset = load(first["dataset"], Path(setting.data_source))
    while True:
        with arrived:
            arrived.wait_for(lambda: units)
            described = units.pop(0)
        unit = [Member(build(recipe, "the sweep"), seed, split_seed, name) for recipe, seed, split_seed, name in described]
        try:
            ended = {"ended": run_unit(unit, dataset, setting)}
        except Interrupted as stopped:
            ended = {"interrupted": stopped.step}
        print(json.dumps(ended), file=out, flush=True)


if __name__ == "__main__":
    main()
