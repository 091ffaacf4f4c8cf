"""What the shipped recipes have reached, as their files record it: a Markdown table of the evidence."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from ssgan import recipes
from ssgan.errors import Mistake
from ssgan.experiments.report.markdown_table import markdown_table
from ssgan.recipes import RecipeFile

KEYS = ("what", "split_seeds", "errors", "machine", "command")  # of a row of evidence
PUBLISHED = "as published: mean ± std"


def evidence_table(chosen: Sequence[str] | None = None) -> str:
    """What the chosen recipes, else all shipped ones that were measured, have reached, their papers and what is
    published, in Markdown.

    Test error in %, by label budget: mean ± std (ddof 1) of one value a split seed, in brackets their median and the
    worst of them. Raises Mistake for an unknown recipe, and for evidence that is not whole.
    """
    found = [(name, recipes.read(name)) for name in (recipes.names() if chosen is None else chosen)]
    if chosen is None:
        found = [(name, file) for name, file in found if evidence_rows(file)]
    rows = [(name, row) for name, file in found for row in evidence_rows(file)]
    papers = [(name, file.evidence["paper"]) for name, file in found if "paper" in file.evidence]
    published = [(file.recipe.dataset, row) for _, file in found for row in file.evidence.get("published", [])]
    budgets = sorted({int(labels) for _, row in rows + papers + published for labels in row["errors"]})

    cells = [["recipe", "what", *(f"{labels} labels" for labels in budgets), "n", "machine, command"]]
    for name, row in rows:
        errors = _by_budget(row["errors"], budgets, _measured)
        cells.append([name, row["what"], *errors, len(row["split_seeds"]), f"{row['machine']}; `{row['command']}`"])
    for name, paper in papers:
        for what, key in ((paper["source"], "errors"), (f"{paper['models']} models averaged", "averaged")):
            errors = _by_budget(paper[key], budgets, _published)
            cells.append([name, f"the paper, {what}", *errors, paper["subsets"], PUBLISHED])
    for dataset, row in published:
        what = f"{row['method']}, {row['source']}: {row['note']}"
        errors = _by_budget(row["errors"], budgets, _published)
        cells.append([f"published for {dataset}", what, *errors, "", PUBLISHED])
    return markdown_table(cells)


def evidence_rows(file: RecipeFile) -> list[dict[str, Any]]:
    """The rows that a recipe's file records, each with KEYS, its errors in % by label budget, one a split seed.

    Raises Mistake.
    """
    rows = file.evidence.get("rows", [])
    if not all(_whole(row) for row in rows):
        raise Mistake(f"recipe {file.name}: a row of its evidence is not whole;\n"
                      f"[[evidence.rows]] needs {', '.join(KEYS)};\n"
                      "errors are by label budget, and as many as there are split seeds.")
    return rows


def _whole(row: Any) -> bool:
    if not isinstance(row, dict) or not set(KEYS) <= row.keys():
        return False
    errors, seeds = row["errors"], row["split_seeds"]
    if not isinstance(errors, dict) or not errors or not all(map(str.isdecimal, errors)):
        return False
    return all(isinstance(values, list) and len(values) == len(seeds) > 0 for values in (seeds, *errors.values()))


def _by_budget(errors: dict[str, Any], budgets: list[int], written: Callable[[list[float]], str]) -> list[str]:
    return [written(errors[str(labels)]) if str(labels) in errors else "" for labels in budgets]


def _measured(errors: list[float]) -> str:
    """Errors in %, one a split seed, as mean ± std (median; worst)."""
    if len(errors) == 1:
        return f"{errors[0]:.2f}"
    spread = f"{statistics.mean(errors):.2f} ± {statistics.stdev(errors):.2f}"
    return f"{spread} ({statistics.median(errors):.2f}; worst {max(errors):.2f})"


def _published(errors: list[float]) -> str:
    """A published error in %: its mean and, where there is one, its standard deviation."""
    mean = f"{errors[0]:.2f}" if round(errors[0], 2) == errors[0] else f"{errors[0]:g}"
    return " ± ".join([mean, *(f"{std:.3g}" for std in errors[1:])])
