"""The shipped recipes: find, read and list the files of pipelines/."""

import statistics
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ssgan.config import Recipe, parse
from ssgan.errors import Mistake, unknown


@dataclass(frozen=True)
class RecipeFile:
    """A recipe with what its file says of it."""

    name: str
    recipe: Recipe
    text: str
    evidence: dict[str, Any]

    @property
    def title(self) -> str:
        """The first line of the file's opening comment."""
        return self.text.splitlines()[0].lstrip("# ") if self.text.startswith("#") else ""


def evidence_table() -> str:
    """What every shipped recipe has reached, its paper and what else is published, as a Markdown table.

    Test error in %, mean ± std (ddof 1) and median, by label budget.
    """
    found = [(name, read(name).evidence) for name in names()]
    rows = [(name, row) for name, evidence in found for row in evidence.get("rows", [])]
    papers = [(name, evidence["paper"]) for name, evidence in found if "paper" in evidence]
    published = [(name, row) for name, evidence in found for row in evidence.get("published", [])]
    budgets = sorted({int(labels) for _, row in rows + papers + published for labels in row["errors"]})
    lines = [["recipe", "what", *(f"{labels} labels" for labels in budgets), "n", "machine, command"]]
    lines.append(["---"] * len(lines[0]))
    for name, row in rows:
        cells = {labels: _cell(errors) for labels, errors in row["errors"].items()}
        lines.append([name, row["what"], *_by_budget(cells, budgets), f"{len(row['split_seeds'])}", f"{row['machine']}; `{row['command']}`"])
    for name, paper in papers:
        for what, key in ((f"the paper, {paper['source']}", "errors"), (f"the paper, {paper['models']} models averaged", "averaged")):
            cells = {labels: _published(errors) for labels, errors in paper[key].items()}
            lines.append([name, what, *_by_budget(cells, budgets), f"{paper['subsets']}", "as published, no median"])
    for name, row in published:
        cells = {labels: _published(errors) for labels, errors in row["errors"].items()}
        others = f"{row['method']}, {row['source']}: {row['note']}"
        lines.append([f"published for {read(name).recipe.dataset}", others, *_by_budget(cells, budgets), "", "as published, no median"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _by_budget(cells: dict[str, str], budgets: list[int]) -> list[str]:
    return [cells.get(str(labels), "") for labels in budgets]


def _cell(errors: list[float]) -> str:
    """Errors in %, one a split seed, as mean ± std (median)."""
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{statistics.mean(errors):.2f}{spread} ({statistics.median(errors):.2f})"


def _published(errors: list[float]) -> str:
    """A published error in %: its mean and, where there is one, its standard deviation."""
    mean = f"{errors[0]:.2f}" if round(errors[0], 2) == errors[0] else f"{errors[0]:g}"
    return " ± ".join([mean, *(f"{std:.3g}" for std in errors[1:])])


def read(name: str) -> RecipeFile:
    """The shipped recipe of that name, or the one in that file. Raises Mistake."""
    shipped = _shipped()
    if name in shipped:
        text, where = shipped[name].read_text(encoding="utf-8"), f"recipe {name}"
    elif name.endswith(".toml") or "/" in name:
        text, where = _file(Path(name)), name
    else:
        raise unknown("recipe", name, shipped)
    recipe = parse(text, where)
    return RecipeFile(Path(name).stem, recipe, text, tomllib.loads(text).get("evidence", {}))


def names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(_shipped())


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"--recipe {path}: the file cannot be read ({error}); shipped recipes: {', '.join(names())}.") from None


def _shipped() -> dict[str, Any]:
    beside = Path(__file__).parent.parent / "pipelines"  # an uninstalled checkout
    folder = beside if (beside / "__init__.py").exists() else resources.files("ssgan.pipelines")
    return {Path(item.name).stem: item for item in folder.iterdir() if item.name.endswith(".toml")}
