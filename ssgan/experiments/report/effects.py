"""What every technique has brought in the recorded ablations, as one Markdown table."""

import itertools
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ssgan.experiments.report.ablation import MEASURES
from ssgan.experiments.report.markdown_table import markdown_table
from ssgan.experiments.report.table import Stat
from ssgan.techniques import key_of

if TYPE_CHECKING:
    from ssgan.experiments.explain import Effect, Page

# Salimans et al. 2016, table 3: the Inception Score of CIFAR-10 with all methods, 8.09, less that without this one.
PAPER = {"virtual_batch_norm": 8.09 - 7.54, "smoothing": 8.09 - 6.83, "supervised": 8.09 - 4.36,
         "minibatch_discrimination": 8.09 - 3.87}
HEADING = ("technique", "key", "source", "measured on", "n", "error, points", "Inception Score", "Fréchet distance",
           "ms a step", "paper: Inception Score")


def effects_table(pages: Iterable["Page"]) -> str:
    """A line for each recorded ablation of a technique: what is higher with it than without, mean and 95 % interval
    (Student's t, paired by seed); of a technique alone, higher than with the labelled loss alone.
    """
    lines = [_line(page, effect) for page in pages for effect in page.effects]
    return markdown_table([HEADING, *lines])


def _line(page: "Page", effect: "Effect") -> tuple[str, ...]:
    sign = -1 if effect.off else 1
    stats = {measure: Stat.of(sign * value for value in values) for measure, values in effect.changes.items()}
    count = max(stat.n for stat in stats.values())
    paper = f"{PAPER[page.name]:+.2f}" if page.name in PAPER else ""
    where = f"{effect.recipe}, {effect.labels} labels" + ("" if effect.off else ", alone")
    keys = ", ".join(f"`{text}`" for text in _settings(page, effect))
    return (page.name, keys, page.source, where, str(count),
            *(_told(measure, stats.get(measure)) for measure in MEASURES), paper)


def _settings(page: "Page", effect: "Effect") -> tuple[str, ...]:
    """Its keys and values that the command has set, or the key by which it is on."""
    words = shlex.split(effect.command)
    chosen = [word for option, word in itertools.pairwise(words) if option == "--set"]
    return tuple(word for word in chosen if word.partition("=")[0] in page.keys) or (
        key_of(page.name),)


def _told(measure: str, stat: Stat | None) -> str:
    """A step's time is one of several seeds at once, so it has no interval."""
    if stat is None:
        return ""
    return f"{stat.mean:+.2f}" if measure == "ms_a_step" else stat.change()
