"""`Executor`: a place where jobs are done beside one another, on this machine or elsewhere."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ssgan.experiments.interrupt import Stop
from ssgan.experiments.progress import Progress


@dataclass(frozen=True)
class End:
    """How a job ended."""

    reason: str = ""  # in one line, why it could not be brought to its end
    stopped_at: int | None = None  # the step at which it stopped because it was asked to, its checkpoint saved


class Job(ABC):
    """Work for another process, to which it is sent pickled: it holds plain values and paths, and opens files there."""

    @abstractmethod
    def run(self, progress: Progress, stop: Stop) -> End:
        """Does it, telling how far it is; where `stop` asks for it, it saves what it has and ends."""


class Task:
    """A job that was handed in, and what `Executor.wait` has heard of it: its stage, the stage's steps, and its end."""

    def __init__(self, job: Job):
        self.job = job
        self.stage, self.step, self.total = "starting", 0, 0
        self.end: End | None = None

    @property
    def part(self) -> float:
        """How much of the stage is done, from 0 to 1."""
        return self.step / max(1, self.total)


class Executor(ABC):
    """Does up to `places` jobs at once. As a context manager it is closed at the end, however that comes."""

    places: int

    @abstractmethod
    def submit(self, job: Job) -> Task:
        """Begins a job; for no more at once than there are places."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Task]:
        """Takes in what jobs tell, waiting at most so long for a first word; the tasks that have ended by that."""

    @abstractmethod
    def stop(self) -> None:
        """Asks every job to save what it has and to end; may be called again and again."""

    @abstractmethod
    def close(self) -> None:
        """Ends the places, and a job that is still at work at once: what it has not saved is done again later."""

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *error) -> None:
        self.close()
