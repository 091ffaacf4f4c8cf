"""`LocalExecutor`: jobs in processes of this machine, by concurrent.futures.

Each place is a pool of one process, so that a process that dies takes its own job along and no other. This module is
imported in the processes before they are prepared, and so must not import torch, which reads the number of threads when
it is loaded.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, resource_tracker

from ssgan.experiments.executors.executor import End, Executor, Job, Task
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.progress import Relayed

STOP = "stop"  # what a process is told
Word = str | tuple[str, int, int]  # of a job: something to be said; or its stage, and the stage's step and total


class LocalExecutor(Executor):
    """Up to `places` processes, begun when they are first needed.

    Each takes so many threads, where the person has said nothing of them. `say` is told, in `wait`, what jobs say.
    """

    def __init__(self, places: int, threads: int | None, say: Callable[[str], None]):
        self.places, self._threads, self._say = places, threads, say
        self._idle: list[_Place] = []
        self._busy: dict[Task, _Place] = {}
        self._told: queue.SimpleQueue[tuple[Task, Word | End]] = queue.SimpleQueue()

    def submit(self, job: Job) -> Task:
        assert len(self._busy) < self.places
        task = Task(job)
        while self._idle:
            place = self._idle.pop()
            with contextlib.suppress(BrokenProcessPool):  # it has died since its last job
                self._begin(place, task)
                return task
            place.close()
        self._begin(_Place(self._threads), task)
        return task

    def wait(self, seconds: float) -> list[Task]:
        ended: list[Task] = []
        with contextlib.suppress(queue.Empty):
            task, word = self._told.get(timeout=seconds)
            while True:
                if isinstance(word, str):
                    self._say(word)
                elif isinstance(word, End):
                    task.end = word
                    ended.append(task)
                else:
                    task.stage, task.step, task.total = word
                task, word = self._told.get_nowait()
        for task in ended:
            place = self._busy.pop(task)
            if place.dead:
                place.close()
            else:
                self._idle.append(place)
        return ended

    def stop(self) -> None:
        for place in self._busy.values():
            place.stop()

    def close(self) -> None:
        for place in self._busy.values():
            place.process.kill()
        for place in (*self._busy.values(), *self._idle):
            place.close()
        self._busy, self._idle = {}, []

    def _begin(self, place: "_Place", task: Task) -> None:
        place.begin(task.job, lambda word: self._told.put((task, word)))
        self._busy[task] = place


class _Place:
    """A pool of one process, as its parent sees it."""

    def __init__(self, threads: int | None):
        context = multiprocessing.get_context("spawn")
        self.link, self._theirs = context.Pipe()
        self.pool = ProcessPoolExecutor(1, context, _prepare, (self._theirs, threads))
        self.process, self._follower = None, None
        self.dead, self._asked = False, False

    def begin(self, job: Job, hear: Callable[[Word | End], None]) -> None:
        """Hands it a job; `hear` is told its words, in a thread. Raises BrokenProcessPool where it has died."""
        if self.process is None:
            before = set(multiprocessing.active_children())
            with _signals_held():
                future = self.pool.submit(_run, job)
            self.process, = set(multiprocessing.active_children()) - before
            self._theirs.close()  # so that the link ends with the process
        else:
            future = self.pool.submit(_run, job)
        self._follower = threading.Thread(target=self._follow, args=(future, hear), daemon=True)
        self._follower.start()

    def stop(self) -> None:
        """Tells it, once, that its job is to stop."""
        if not self._asked:
            self._asked = True
            with contextlib.suppress(OSError):  # it has died
                self.link.send(STOP)

    def close(self) -> None:
        """Sees the process end, which an idle one does now and a killed one has done."""
        if self._follower:
            self._follower.join()
        self.pool.shutdown()
        self.link.close()

    def _follow(self, future: Future, hear: Callable[[Word | End], None]) -> None:
        """In a thread: takes in what the job tells, to its end."""
        with contextlib.suppress(EOFError, OSError):
            while (word := self.link.recv()) is not None:
                hear(word)
        try:
            end = future.result()
        except BrokenProcessPool:
            self.dead = True
            self.pool.shutdown()  # after which the exit code is known
            end = End(f"its process died with exit code {self.process.exitcode}")
        hear(end)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C is for the parent: a process that begins now gets no signal before it is prepared for it."""
    resource_tracker.ensure_running()  # it lets the signals through when it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_link: "_Link"  # of this process to its parent, where it is a place


class _Link:
    """The way back to the parent, from several threads."""

    def __init__(self, pipe: connection.Connection):
        self.pipe, self.stop, self._lock = pipe, Stop(), threading.Lock()

    def tell(self, word: Word | None) -> None:
        """Sends a word, or that there are no more of a job."""
        with self._lock:
            self.pipe.send(word)

    def listen(self) -> None:
        """In a thread: hears the wish to stop, and ends the process when the parent is gone, however that came."""
        gone = multiprocessing.parent_process().sentinel
        with contextlib.suppress(EOFError, OSError):
            while gone not in connection.wait([self.pipe, gone]):
                self.pipe.recv()  # the one word that there is
                self.stop.requested = True
        os._exit(1)


def _prepare(pipe: connection.Connection, threads: int | None) -> None:
    """What a process does first."""
    global _link
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # forgets one that was held
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    signal.signal(signal.SIGTERM, before)
    os.dup2(2, 1)  # what a library prints is for the person
    warnings.simplefilter("ignore")
    if threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    _link = _Link(pipe)
    threading.Thread(target=_link.listen, daemon=True).start()


def _run(job: Job) -> End:
    """What a process does with each job."""
    try:
        return job.run(Relayed(_link.tell), _link.stop)
    except BaseException as error:  # a fault of ours, which the other jobs need not share
        traceback.print_exc(file=sys.stderr)
        return End(f"{type(error).__name__}: {error}".splitlines()[0])
    finally:
        _link.tell(None)
