"""`Delivery`: brings the work folders of a live run to the store from a thread beside it."""

import threading
import time
from pathlib import Path

from ssgan.tracking.backlog import Result, deliver_waiting, mark_dead
from ssgan.tracking.delivery import Busy, deliver
from ssgan.tracking.store import Store, Undelivered
from ssgan.tracking.workfolder import WorkFolder

MOST_PATIENCE_SECONDS = 300.0


class Delivery:
    """Delivers the folders every so many seconds, and once more at the end; without a store it does nothing.

    Whatever the store does, nothing is raised into the run and nothing of it waits but `finish`, and that not long.
    After its first success the thread also marks dead runs and brings in what earlier runs left under `root`;
    `brought` says what became of those.
    """

    def __init__(self, folders: list[WorkFolder], store: Store | None, root: Path | None = None,
                 every_seconds: float = 30.0):
        self.folders = folders
        self.store = store
        self.root = root
        self.every_seconds = every_seconds
        self.brought: list[Result] = []
        self._reasons: dict[Path, str] = {}
        self._complete: set[Path] = set()
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._work, name="ssgan-delivery", daemon=True)

    @property
    def reason(self) -> str | None:
        """Why the last delivery failed, in one line; None while all is well."""
        return next(iter(self._reasons.values()), None)

    def start(self) -> None:
        """Begins; MLflow is imported and the store opened in the thread."""
        if self.store is not None:
            self._thread.start()

    def finish(self, timeout_seconds: float = 60.0) -> list[tuple[WorkFolder, str]]:
        """Delivers a last time, for at most that long; returns the folders that still wait, with the reason of each."""
        if self.store is None:
            return [(folder, "tracking is off (--tracking-uri none)") for folder in self.folders]
        self._deadline = time.monotonic() + timeout_seconds
        self._ending.set()
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(timeout_seconds)
        late = f"{self.store.name} had not answered after {timeout_seconds:g} seconds"
        return [(folder, self._reasons.get(folder.path, late)) for folder in self.folders
                if folder.path not in self._complete]

    def _work(self) -> None:
        pause, others_done = 0.0, self.root is None
        while not self._ending.wait(pause):
            self._deliver_all()
            if not self._reasons and not others_done:
                self._bring_others()
                others_done = True
            # A store that fails is left alone for longer and longer.
            pause = (min(max(2 * pause, self.every_seconds), MOST_PATIENCE_SECONDS) if self._reasons
                     else self.every_seconds)
        while self._deliver_all(last=True) and time.monotonic() < self._deadline:
            time.sleep(0.2)

    def _deliver_all(self, last: bool = False) -> bool:
        """Delivers each folder; says whether one was only busy and may be tried again at once."""
        busy = False
        for folder in self.folders:
            if folder.path in self._complete:
                continue
            try:
                deliver(folder, self.store)
                self._reasons.pop(folder.path, None)
                if last:
                    self._complete.add(folder.path)
            except Undelivered as undelivered:
                busy = busy or isinstance(undelivered, Busy)
                self._reasons[folder.path] = str(undelivered)
                if undelivered.everywhere:
                    self._reasons |= {other.path: str(undelivered) for other in self.folders
                                      if other.path not in self._complete}
                    return False
            except Exception as error:  # a fault of ours: told at the end, and no reason to lose a run
                self._reasons[folder.path] = f"{type(error).__name__}: {error}"
        return busy

    def _bring_others(self) -> None:
        try:
            mark_dead(self.store, self.root)
            self.brought = deliver_waiting(self.root, self.store, stop=self._ending.is_set)
        except Exception as error:  # nor is another run's folder one
            self.brought.append((WorkFolder(self.root), None, str(error)))
