"""README against the code: its commands, its picture, its results against the evidence; and that it stays a page."""

import re
from pathlib import Path

from ssgan.cli import main
from ssgan.config import RENAMED
from ssgan.experiments.explain import pages
from ssgan.experiments.report.effects import effects_table
from ssgan.experiments.report.evidence import KEYS, evidence_table
from ssgan.recipes import names, read

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPEN = re.sub(r"<details>.*?</details>\n", "", README, flags=re.DOTALL)  # what is seen at first
MOST_LINES, MOST_ROWS, WIDTH = 90, 8, 120


def cells(lines):
    """The cells of a table; README has no-break spaces within an error, so that the page does not break it."""
    return [[cell.strip().replace("\u00a0", " ") for cell in line.strip().strip("|").split("|")] for line in lines]


def test_the_two_commands_are_there_and_ci_runs_the_tests_by_the_second():
    fresh = "python3 -m venv .venv && .venv/bin/pip install"
    assert f"{fresh} . && .venv/bin/ssgan run --dataset digits --labels 100" in OPEN
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in OPEN
    assert ".venv/bin/pip install --quiet -e '.[test]' && .venv/bin/pytest" in (ROOT / ".ci" / "run").read_text()


def test_every_command_that_readme_names_exists_with_its_options():
    shown = [line.split("   ")[0] for line in re.findall(r"^    ssgan (.*)$", README, re.MULTILINE)]
    inline = re.findall(r"`(?:python3 -m )?ssgan ([^`]*)`", README)
    assert len(shown) > 15 and len(inline) > 5
    for line in (command for several in shown + inline for command in several.split(", ssgan ")):
        name, *words = line.replace("[", "").replace("]", "").split()
        known = {option for parameter in main.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_command_is_in_readme():
    assert set(main.commands) <= set(re.findall(r"\bssgan (\w+)", OPEN))


def test_the_table_of_results_is_rows_of_what_the_tool_prints():
    printed = cells(evidence_table().splitlines())
    table, = [cells(block.splitlines()) for block in re.findall(r"(?:^\|.*\n)+", OPEN, re.MULTILINE)]
    heading, _, *rows = table
    assert heading == printed[0] and 4 <= len(rows) <= MOST_ROWS
    for row in rows:
        assert row in printed, f"ssgan recipes --evidence has no such row now: {row}"


def test_the_table_of_techniques_is_what_the_tool_prints():
    printed = cells(effects_table(pages().values()).splitlines())
    tables = [cells(block.splitlines()) for block in re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)]
    found, = [table for table in tables if table[0] == printed[0]]
    assert found[2:] == printed[2:]


def test_the_picture_is_there():
    picture, = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).is_file() and f"`ssgan recipes {Path(picture).stem} --picture {picture}`" in OPEN


def test_it_is_one_page_and_the_rest_is_folded():
    assert OPEN.count("\n") <= MOST_LINES and "</details>" not in OPEN
    assert README.count("<details>") == README.count("<summary>") == README.count("</details>") >= 4
    prose = [line for line in README.splitlines() if not line.startswith(("|", "    "))]
    assert [line for line in prose if len(line) > WIDTH] == []


def test_old_keys_are_told_with_todays():
    for old, new in RENAMED.items():
        assert re.search(rf"`{re.escape(old)}`\s+is\s+`{re.escape(new)}`", README)
    rest = re.sub(r"^- \*\*Renamed keys\.\*\*.*?(?=^- )", "", README, flags=re.DOTALL | re.MULTILINE)
    rest += "".join(read(name).text for name in names())
    assert not any(re.search(rf"\b{re.escape(old)}\b", rest) for old in RENAMED)


def test_every_row_of_evidence_is_whole():
    rows = [row for name in names() for row in read(name).evidence.get("rows", [])]
    assert rows
    for row in rows:
        assert set(row) == set(KEYS) and row["errors"]
        for labels, errors in row["errors"].items():
            assert (int(labels) > 0 and len(errors) == len(row["split_seeds"])
                    and all(0 <= error <= 100 for error in errors))
        assert all(0 <= seed <= 999 for seed in row["split_seeds"])


def test_every_published_row_is_whole():
    rows = [row for name in names() for row in read(name).evidence.get("published", [])]
    assert rows
    printed = evidence_table()
    for row in rows:
        assert set(row) == {"method", "source", "note", "errors"} and row["errors"]
        for labels, (mean, *std) in row["errors"].items():
            assert int(labels) > 0 and 0 <= mean <= 100 and len(std) < 2
            assert " ± ".join(f"{number:g}" for number in (mean, *std)) in printed
            assert f"{row['method']}, {row['source']}" in printed
