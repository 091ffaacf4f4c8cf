"""The numbers of an ablation: a row for each switch, and its differences seed by seed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssgan.evaluation.scoring_network import ITSELF
from ssgan.experiments.report.table import Stat
from ssgan.tracking import run_ids
from ssgan.tracking.workfolder import WorkFolder

SCORES = ("inception_score", "fid")
MEASURES = ("error", *SCORES, "ms_a_step")
Column = Sequence[float | None]  # a value a seed; None where the run has none


@dataclass(frozen=True, eq=False)
class AblationRow:
    """The runs of one row, seed by seed. Errors are fractions."""

    name: str
    off: tuple[str, ...]
    only: tuple[str, ...]
    changes: Mapping[str, Any]  # keys that are not as in the recipe
    against: str | None  # the row from which its differences are taken
    note: str
    unlabelled: bool  # trained without labels: it has scores and no error
    folders: tuple[WorkFolder, ...]
    errors: Column
    scores: Sequence[Mapping[str, Mapping[str, float]]]  # of every seed, by generator
    step_ms: Column

    def columns(self, generator: str) -> dict[str, Column]:
        """Every measure's values, of that generator."""
        scores = [found.get(generator, {}) for found in self.scores]
        return {"error": self.errors, "inception_score": [found.get("inception_score") for found in scores],
                "fid": [found.get("fid") for found in scores], "ms_a_step": self.step_ms}

    @property
    def lost(self) -> int:
        """Runs that did not come through."""
        measured = self.step_ms if self.unlabelled else self.errors
        return sum(value is None for value in measured)

    @property
    def unfinished(self) -> tuple[WorkFolder, ...]:
        """Runs that were measured and have failed later, in scoring say."""
        measured = self.step_ms if self.unlabelled else self.errors
        return tuple(folder for folder, value in zip(self.folders, measured, strict=True)
                     if value is not None and folder.facts.get("status") != "FINISHED")

    def stat(self, measure: str, generator: str) -> Stat | None:
        """Of the runs that have it; None where none has."""
        found = [value for value in self.columns(generator)[measure] if value is not None]
        return Stat.of(found) if found else None


@dataclass(frozen=True, eq=False)
class Ablation:
    """All rows; the first is the recipe as it is."""

    recipe: str
    dataset: str
    labels: int
    seeds: Sequence[tuple[int, int]]  # training seed, split seed
    rows: tuple[AblationRow, ...]
    left_out: tuple[str, ...]  # what has no row, and why
    real: Mapping[str, float] = field(default_factory=dict)  # real images' scores by the same measures
    network: str = ""  # by which generated images are scored

    @property
    def generator(self) -> str:
        """Whose images the scores are of: the generator that the classifier knows, else a technique's own."""
        names = list(dict.fromkeys(name for row in self.rows for found in row.scores for name in found))
        return "generator" if "generator" in names or not names else names[0]

    @property
    def comparable(self) -> bool:
        """Whether the rows' scores are by one network, and not each by its run's own."""
        return self.network != ITSELF

    @property
    def lost(self) -> int:
        """Runs that did not come through."""
        return sum(row.lost for row in self.rows)

    @property
    def unfinished(self) -> dict[str, str]:
        """Why runs that were measured have not come to their end, by their names."""
        facts = [folder.facts | {"id": folder.fingerprint} for row in self.rows for folder in row.unfinished]
        return {f"{each.get('name', '')} ({each['id'][:8]})": each.get("error") or each.get("status", "")
                for each in facts}

    def row(self, name: str) -> AblationRow:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def difference(self, row: AblationRow, measure: str) -> Stat | None:
        """How much higher the row's values are than those of the row that it is held against, over the seeds that both
        have; None where there are none, and of scores that cannot be compared.
        """
        if row.against is None or measure in SCORES and not self.comparable:
            return None
        ours, others = (each.columns(self.generator)[measure] for each in (row, self.row(row.against)))
        found = [own - other for own, other in zip(ours, others, strict=True) if own is not None and other is not None]
        return Stat.of(found) if found else None


def ablation_plain(found: Ablation) -> dict[str, Any]:
    """The same as plain values for JSON; errors are fractions."""
    return {"recipe": found.recipe, "dataset": found.dataset, "labels": found.labels,
            "seeds": [{"seed": seed, "split_seed": split} for seed, split in found.seeds],
            "generator": found.generator, "real": dict(found.real), "score_network": found.network or None,
            "rows": [_row(found, row) for row in found.rows],
            "left_out": list(found.left_out), "lost": found.lost, "unfinished": found.unfinished}


def _row(found: Ablation, row: AblationRow) -> dict[str, Any]:
    columns = row.columns(found.generator)
    runs = [{"seed": seed, "split_seed": split, "status": folder.facts.get("status"),
             "run_id": (run_ids(folder) or [folder.fingerprint])[-1], "folder": str(folder.path)}
            for (seed, split), folder in zip(found.seeds, row.folders, strict=True)]
    names = list(dict.fromkeys(name for scores in row.scores for name in scores))
    return {"name": row.name, "off": list(row.off), "only": list(row.only), "changes": dict(row.changes),
            "against": row.against, "note": row.note or None,
            **{measure: _values(columns[measure], found.difference(row, measure)) for measure in MEASURES},
            "difference": _difference(found.difference(row, "error")),
            "generators": {name: _means(row, name) for name in names}, "runs": runs}


def _values(column: Column, difference: Stat | None) -> dict[str, Any]:
    there = [value for value in column if value is not None]
    stat = Stat.of(there) if there else None
    return {"mean": stat and stat.mean, "std": stat and stat.std, "n": len(there), "each": list(column),
            "difference": _difference(difference)}


def _difference(stat: Stat | None) -> dict[str, Any] | None:
    if stat is None:
        return None
    half = stat.half_width()
    return {"mean": stat.mean, "std": stat.std, "n": stat.n,
            "interval": None if half is None else [stat.mean - half, stat.mean + half]}


def _means(row: AblationRow, generator: str) -> dict[str, float]:
    found = {measure: [value for value in row.columns(generator)[measure] if value is not None]
             for measure in SCORES}
    return {measure: statistics.mean(values) for measure, values in found.items() if values}
