"""README against the code: its commands, and its table of results against the recipes' evidence."""

import re
from pathlib import Path

from ssgan.cli import main
from ssgan.recipes import evidence_table, names, read

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_two_commands_are_there_and_ci_runs_the_tests_by_the_second():
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/ssgan run --dataset digits --labels 100" in README
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in README
    assert ".venv/bin/pip install --quiet -e '.[test]' && .venv/bin/pytest" in (ROOT / ".ci" / "run").read_text()


def test_every_command_that_readme_names_exists_with_its_options():
    for line in re.findall(r"^    ssgan (.*)$", README, re.MULTILINE):
        name, *words = line.split("   ")[0].replace("[", "").replace("]", "").split()
        command = main.commands[name.rstrip(",")]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_table_of_results_is_what_the_tool_prints():
    assert evidence_table().strip() in README


def test_every_row_of_evidence_is_whole():
    rows = [row for name in names() for row in read(name).evidence.get("rows", [])]
    assert rows
    for row in rows:
        assert set(row) == {"what", "errors", "split_seeds", "machine", "command"} and row["errors"]
        for labels, errors in row["errors"].items():
            assert int(labels) > 0 and len(errors) == len(row["split_seeds"]) and all(0 <= error <= 100 for error in errors)
        assert all(0 <= seed <= 999 for seed in row["split_seeds"])


def test_every_published_row_is_whole():
    rows = [row for name in names() for row in read(name).evidence.get("published", [])]
    assert rows
    for row in rows:
        assert set(row) == {"method", "source", "note", "errors"} and row["errors"]
        for labels, (mean, *std) in row["errors"].items():
            assert int(labels) > 0 and 0 <= mean <= 100 and len(std) < 2
            assert f"{row['method']}, {row['source']}" in README and " ± ".join(f"{number:g}" for number in (mean, *std)) in README
