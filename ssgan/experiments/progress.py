"""What a person sees while a command computes: a bar with time left on a terminal, plain lines elsewhere; all on
stderr.
"""

import sys
import time
from collections.abc import Callable, Sequence

LINE_SECONDS = 15.0
TELL_SECONDS = 0.5
MOST_NAMED = 4  # of the runs side by side, in a line


class Progress:
    """Shows one stage at a time. `quiet` shows nothing but what is said."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.prefix = ""  # before each stage's name: which run of a sweep it is
        self.terminal = sys.stderr.isatty() and not quiet
        self._bar = self._task = None
        self._stage, self._total, self._began, self._shown, self._first = "", 0, 0.0, 0.0, 0
        self._rows: list = []

    def say(self, text: str) -> None:
        """A line for the person, above any bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps starts, of which `done` were made before; of a total of 0 nobody knows how many."""
        self._open(self.prefix + stage, total, done)
        if self.terminal:
            self._start(_bar(), self._stage, total, completed=done, note="")
        elif not total and not self.quiet:  # what may take minutes, of which there is no further line
            self.say(f"{self._stage} …")

    def update(self, done: int, total: int | None = None, values: dict[str, float] | None = None) -> None:
        """The stage has come to step `done`; `values` are shown beside it, and `total` may be known only now."""
        self._total = total or self._total
        note = "  ".join(f"{name} {value:.4g}" for name, value in (values or {}).items())
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total, note=note)
            return
        now = time.monotonic()
        if not self.quiet and now - self._shown >= LINE_SECONDS and done > self._first:
            self._shown = now
            rate = (done - self._first) / (now - self._began)
            self.say(f"{self._stage}: step {done} of {self._total}, {rate:.1f} a second, "
                     f"{duration((self._total - done) / rate)} left  {note}")

    def begin_many(self, stage: str, total: int) -> None:
        """A stage of `total` runs starts, some of them side by side; `tell` says how far it is."""
        self._open(stage, total, 0)
        if self.terminal:
            self._start(_bars(), stage, total, count="", note="")

    def tell(self, done: int, under_way: float, note: str, running: Sequence[tuple[str, str, float]]) -> None:
        """How many runs are done, how far those under way are together, in runs, and each of these: its name, its
        stage, and how much of the stage is done.
        """
        if self._bar is not None:
            self._bar.update(self._task, completed=done + under_way, count=f"{done}/{self._total}", note=note)
            while len(self._rows) < len(running):
                self._rows.append(self._bar.add_task("", total=1.0, visible=False, count="", note=""))
            for number, row in enumerate(self._rows):
                name, stage, part = running[number] if number < len(running) else ("", "", 0.0)
                self._bar.update(row, description=f"  {name}", completed=part, count=f"{100 * part:.0f} %", note=stage,
                                 visible=number < len(running))
        elif not self.quiet and time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            now = [f"{name}: {stage} {100 * part:.0f} %" for name, stage, part in running[:MOST_NAMED]]
            more = [f"{len(running) - MOST_NAMED} more"] if len(running) > MOST_NAMED else []
            self.say(f"{self._stage}: {done} of {self._total} runs; {', '.join(filter(None, [note, *now, *more]))}")

    def end(self) -> None:
        """The stage is over."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _open(self, stage: str, total: int, done: int) -> None:
        self.end()
        self._stage, self._total, self._first, self._rows = stage, total, done, []
        self._began = self._shown = time.monotonic()

    def _start(self, bar, stage: str, total: int, **fields) -> None:
        self._bar = bar
        self._task = bar.add_task(stage, total=total, **fields)
        bar.start()


class Relayed(Progress):
    """Of a process that works for another: passes on what is to be said, and a stage with its step and total."""

    def __init__(self, tell: Callable[[str | tuple[str, int, int]], None]):
        super().__init__(quiet=True)
        self.pass_on, self.told = tell, 0.0

    def say(self, text: str) -> None:
        self.pass_on(text)

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        self._stage, self._total = stage, total
        self._tell(done)

    def update(self, done: int, total: int | None = None, values: dict[str, float] | None = None) -> None:
        self._total = total or self._total
        if time.monotonic() - self.told > TELL_SECONDS:
            self._tell(done)

    def _tell(self, done: int) -> None:
        self.told = time.monotonic()
        self.pass_on((self._stage, done, self._total))


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bar():
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return _shown(TextColumn("{task.description:9}"), BarColumn(24), MofNCompleteColumn(), rate_column(),
                  TimeRemainingColumn(), TextColumn("[dim]{task.fields[note]}"))


def _bars():
    from rich.progress import BarColumn, TextColumn

    return _shown(TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[count]:>6}"),
                  TextColumn("[dim]{task.fields[note]}"))


def _shown(*columns):
    from rich.console import Console
    from rich.progress import Progress as Bars

    return Bars(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)


def rate_column():
    """A column with the steps per second."""
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task):
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return Rate()
