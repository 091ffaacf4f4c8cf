"""The floors of the house: a module imports only from floors below its own room's, and the command line starts
light.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ssgan

PACKAGE = Path(ssgan.__file__).parent

# From the ground up. A room is a folder, or a few files; within a room imports are free, rooms of one floor do not know
# each other.
FLOORS = (
    ({"errors", "random_streams", "settings", "files"},),
    ({"data"}, {"models"}, {"tracking"}),
    ({"techniques"},),
    ({"config", "recipes"},),
    ({"training"},),
    ({"evaluation"}, {"export"}),
    ({"experiments"},),
    ({"api", "estimator"},),
    ({"cli", "__init__", "__main__"},),
)
FLOOR = {name: number for number, rooms in enumerate(FLOORS) for room in rooms for name in room}
ROOM = {name: room for rooms in FLOORS for room in rooms for name in room}
HEAVY = ("torch", "mlflow", "sklearn", "matplotlib", "torchvision", "scipy", "pandas")
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LINE, MOST_FLAT = 350, 70, 120, 14
OPAQUE = {"ahead", "clocked", "pace", "members", "learners", "child", "notebook", "utils", "helpers", "misc", "common"}


def module_of(path: Path) -> str:
    """The module, or the folder, that a file of the package belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imports(path: Path, source: str) -> set[str]:
    """The modules of ssgan that a file imports anywhere in it, also inside functions; `ssgan` itself is __init__."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.relative_to(PACKAGE.parent).with_suffix("").parts[: -node.level]
            found |= {".".join((*folder, *filter(None, [node.module]), alias.name)) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module", "__import__"):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    names = [name.split(".") for name in found if name == "ssgan" or name.startswith("ssgan.")]
    return {name[1] if len(name) > 1 and exists(name[1]) else "__init__" for name in names}


def exists(name: str) -> bool:
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()


def faults(path: Path, source: str) -> list[str]:
    """What a file imports from its own floor outside its room, or from above; a module without a floor is told of by a
    test of its own.
    """
    module = module_of(path)
    return [f"{path.relative_to(PACKAGE.parent)} imports {name}"
            for name in sorted(imports(path, source) - ROOM.get(module, {module}))
            if FLOOR.get(name, 0) >= FLOOR.get(module, len(FLOORS))]


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_module_has_its_floor():
    unknown = {module_of(path) for path in FILES} - set(FLOOR)
    assert not unknown, f"put {unknown} into a room of FLOORS, as low as what they import allows"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_floors_below_its_own(path):
    assert faults(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("module", "source", "found"), [
    ("models/mlp.py", "import ssgan.training", ["training"]),
    ("models/mlp.py", "def f():\n    from ssgan.data.images import Images", ["data"]),
    ("models/mlp.py", "from ssgan import config, settings as t", ["config"]),
    ("data/splits.py", "from ..training import loop", ["training"]),
    ("data/splits.py", "from . import images\nfrom .. import errors", []),
    ("data/splits.py", "from ssgan.data.images import Images", []),
    ("settings.py", "from ssgan.errors import Mistake", []),
    ("settings.py", "import ssgan.config", ["config"]),
    ("training/loop.py", "import importlib\nimportlib.import_module('ssgan.cli')", ["cli"]),
    ("training/loop.py", "import ssgan", ["__init__"]),
    ("training/loop.py", "from ssgan import __version__", ["__init__"]),
    ("cli/run.py", "import ssgan.experiments.stages, torch\nfrom ssgan.models.mlp import Generator", [])])
def test_the_reading_of_imports_finds_what_it_should(module, source, found):
    path = PACKAGE / module
    assert faults(path, source) == [f"ssgan/{module} imports {name}" for name in found]


def test_names_tell_and_the_top_is_small():
    assert not OPAQUE & {path.stem for path in FILES}
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_function_or_line_is_too_long(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    assert [number for number, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE] == []
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION] == []


def test_the_command_line_starts_without_heavy_imports():
    program = f"import sys, ssgan.cli; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_a_run_begins_without_torchs_compiler():
    """Which takes two seconds to import: neither counting a pair's parameters nor training steps may call for it."""
    program = """
import sys, torch
sys.path.insert(0, "tests")
import small
from ssgan.training.execution import size_of
trainer = small.trainer(small.MLP)
trainer.step()
print(size_of(small.MLP, trainer.images), size_of(small.CONV, trainer.images), "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and done.stdout.split()[-1] == "False", done.stdout + done.stderr
