"""`Stop`: Ctrl-C and SIGTERM end a run at the next whole step, with a checkpoint, and everything else at once."""

import contextlib
import signal


class Stop:
    """Whether the run was asked to end. Without `listening` nobody asks."""

    def __init__(self):
        self.requested = False
        self._polite = False

    @contextlib.contextmanager
    def listening(self):
        """Takes over SIGINT and SIGTERM while it lasts."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def polite(self):
        """While it lasts, a first signal only sets `requested`; a second one interrupts."""
        self._polite = True
        try:
            yield self
        finally:
            self._polite = False

    def _heard(self, number: int, frame) -> None:
        again, self.requested = self.requested, True
        if again or not self._polite:
            raise KeyboardInterrupt
