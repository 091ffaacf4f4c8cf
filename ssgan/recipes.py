"""The shipped recipes: find, read and list the files of pipelines/."""

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
        raise Mistake(f"--recipe {path}: the file cannot be read ({error}); shipped recipes: "
                      f"{', '.join(names())}.") from None


def _shipped() -> dict[str, Any]:
    beside = Path(__file__).parent.parent / "pipelines"  # an uninstalled checkout
    folder = beside if (beside / "__init__.py").exists() else resources.files("ssgan.pipelines")
    return {Path(item.name).stem: item for item in folder.iterdir() if item.name.endswith(".toml")}
