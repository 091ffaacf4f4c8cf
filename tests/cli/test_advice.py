"""What messages tell a person to type can be typed: every command that the source prints is collected and parsed, and
names commands, options and keys that there are.
"""

import ast
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import click
import handed
import pytest
import small
from click.testing import CliRunner

import ssgan
from ssgan.cli import main, run_summary
from ssgan.cli.run import _budgets
from ssgan.config import keys, override
from ssgan.experiments.member import Member

PACKAGE = Path(ssgan.__file__).parent
HOLE = "1"  # stands for what a message puts in
STARTS = re.compile(rf"\bssgan ({'|'.join(main.commands)})\b")
ENDS = re.compile(r"`|\n|   |; |, (?=[a-z])|\. |\.$|\)|: ")


def texts() -> list[tuple[str, str]]:
    """Every text in the source that a person may be shown, with its place; docstrings only of commands, whose help they
    are.
    """
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner, docs = set(), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant)}
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                if not getattr(node, "decorator_list", []) or path.parent.name != "cli":
                    docs.add(id(node.body[0].value))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "" if "options(" in ast.unparse(part)
                               else HOLE for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | docs:
                text = node.value
            else:
                continue
            found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", text))
    return found


TEXTS = texts()


def commands(text: str) -> list[str]:
    """The commands in a text, each up to where it ends: a command in the midst of a sentence is in backticks."""
    return [text[match.start():].strip() if (end := ENDS.search(text, match.end())) is None
            else text[match.start():end.start()].strip() for match in STARTS.finditer(text)]


TOLD = sorted({(place, command) for place, text in TEXTS for command in commands(text)})


def options() -> set[str]:
    """Every option of every command."""
    return {name for command in [main, *main.commands.values()] for each in command.params
            for name in (*each.opts, *each.secondary_opts)} | {"--help"}


def test_commands_are_found_in_texts():
    assert commands("Try `ssgan recipes` first; or type: ssgan run --set a=1,2 --labels 20,50") == [
        "ssgan recipes", "ssgan run --set a=1,2 --labels 20,50"]
    assert commands("ssgan ui    all runs") == ["ssgan ui"] and commands("from ssgan import tracking") == []
    assert len(TOLD) > 20


@pytest.mark.parametrize(("place", "command"), TOLD, ids=lambda value: value)
def test_a_command_that_is_told_can_be_typed(place, command):
    _, name, *words = shlex.split(command)
    if not words and any(isinstance(each, click.Argument) and each.required for each in main.commands[name].params):
        return  # a command's name in a sentence
    try:
        main.commands[name].make_context(name, words)
    except click.UsageError as error:
        pytest.fail(f"{place} tells to type {command!r}: {error.format_message()}")


OPTIONS = sorted({found for _, text in TEXTS for found in re.findall(r"(?<![\w-])--[a-z][a-z-]*(?<!-)", text)})


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_is_told_is_one(option):
    of_others = {"--backend-store-uri", "--default-artifact-root", "--host", "--workers", "--experiment-id", "--run-id",
                 "--no-optional-locks", "--porcelain", "--untracked-files"}  # MLflow's and git's
    assert option in options() | of_others


def test_a_key_that_is_told_is_one():
    told = {key for _, text in TEXTS for key in re.findall(r"--(?:set|grid) ([a-z_]+\.[a-z_0-9]+)=", text)}
    assert len(told) > 5 and told <= {*keys(), "a.b"}, told - {*keys(), "a.b"}


def test_what_is_to_be_installed_is_named_as_packages_are():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["onnx"]]
    extras = {f"ssgan[{name}]" for name in project["optional-dependencies"]}
    known = {re.match(r"[\w-]+", each)[0] for each in named} | extras | {HOLE}
    told = {word for _, text in TEXTS for found in re.findall(r"pip install ([^\n;)]+)", text)
            for word in found.split() if word != "-U"}
    assert told and {word.strip("'.") for word in told} <= known


def what_next(capsys, facts: dict, budgets: list[int], dataset: str = "digits") -> list[str]:
    """The commands that the summary of a scored run tells."""
    found = {"name": "a run", "status": "FINISHED", "seconds": {"score": 1.0}, "test_error": None, "waiting": None,
             "error_from": None, "inception_score": None, "run_id": "0123456789abcdef", "dataset": dataset, "folder": "/somewhere"}
    run_summary.show(SimpleNamespace(facts=facts), found, as_json=False, budgets=budgets)
    return [command for line in capsys.readouterr().out.splitlines() for command in commands(line)]


def test_what_a_run_says_may_be_typed_next_can_be(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    here = {"tracking_uri": f"sqlite:///{tmp_path}/mlruns/mlflow.db", "experiment": "ssgan", "recipe_name": "digits"}
    assert what_next(capsys, here, [100, 200]) == [
        "ssgan ui", "ssgan sample 01234567 -n 100", "ssgan export 01234567 -o digits.onnx",
        "ssgan sweep --dataset digits --labels 100,200 --seeds 3"]
    elsewhere = {"tracking_uri": "sqlite:////other place/mlflow.db", "experiment": "my own", "recipe_name": "mnist"}
    first, *_, last = what_next(capsys, elsewhere, [20, 40], "kmnist")
    assert shlex.split(first)[2:] == ["--tracking-uri", elsewhere["tracking_uri"], "--experiment", "my own"]
    assert last == "ssgan sweep --dataset kmnist --recipe mnist --labels 20,40 --seeds 3"
    nowhere = {"tracking_uri": "none", "experiment": None, "recipe_name": "my recipe"}
    assert what_next(capsys, nowhere, [20, 40], "folder:my photos") == [
        "ssgan sample 01234567 -n 100", "ssgan export 01234567 -o 'my photos.onnx'"]
    assert len(what_next(capsys, here, [1000])) == 3  # no larger budget is there
    for command in (first, last):
        main.commands[shlex.split(command)[1]].make_context("ssgan", shlex.split(command)[2:])


def test_budgets_that_are_told_are_ones_that_the_data_can_give():
    member = Member(override(small.MLP, ["labels=20"]), 0, 0)
    assert _budgets(member, small.dataset()) == [20, 40]


def test_a_split_that_is_damaged_is_made_anew_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(handed.folder().path, tmp_path / "mlruns" / "work" / handed.folder().fingerprint)
    path = tmp_path / "mlruns" / "work" / handed.folder().fingerprint / "split" / "split.npz"
    before = path.read_bytes()
    path.write_bytes(before[:100])
    again = ["evaluate", "latest", "--tracking-uri", "none", "--quiet"]
    refused = CliRunner().invoke(main, again)
    assert refused.exit_code == 2 and "Delete that file and type the same command again" in refused.stderr
    path.unlink()
    done = CliRunner().invoke(main, again)
    assert done.exit_code == 0 and path.read_bytes() == before, done.output
