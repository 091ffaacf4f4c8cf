"""The command line of `ssgan bench`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssgan.cli import main
from ssgan.training import benchmark as bench

ROOT = Path(__file__).parent.parent.parent
TINY = ["bench", "--recipe", "digits", "--set", "model.widths=[20, 10]", "--set", "model.generator_widths=[10]",
        "--set", "train.epochs=0.5", "--lanes", "none"]
TABLE = [*TINY, "--labels", "50,20", "--seeds", "3,7", "--table", "1"]


@pytest.fixture
def ssgan(monkeypatch):
    """The command in this process, with limits that take no time to find."""
    monkeypatch.setattr(bench, "machine_limits", lambda resolved: {"flop_per_second": 1e11, "bytes_per_second": 1e11})
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_a_table_as_json_and_as_markdown(ssgan, tmp_path):
    done = ssgan(*TABLE, "--json", "--markdown", str(tmp_path / "table.md"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    table = found["table"]
    assert (table["complete"] and table["runs"] == 4 and table["groups"] == [1] * 4 and found["machine"]
            and found["date"] and found["rows"] == [])
    assert [(row["labels"], row["split_seeds"], row["n"]) for row in table["rows"]] == [
        (20, [3, 7], 2), (50, [3, 7], 2)]
    assert "bench: table: 4 runs, 1 at once" in done.stderr
    text = (tmp_path / "table.md").read_text()
    tables = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    lines = [[cell.strip() for cell in line] for line in tables]
    for row in table["rows"]:
        mean, errors = f"{row['mean']:.2f} ± {row['std']:.2f}", ", ".join(f"{error:.2f}" for error in row["errors"])
        assert [str(row["labels"]), mean, f"{row['median']:.2f}", "2", errors] in lines
    assert found["machine"] in text and found["date"] in text and "epochs" in text


def test_the_speed_of_several_group_sizes_as_a_table(ssgan, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_plain_seconds", lambda *arguments: {"median": 0.1, "fastest": 0.1, "calls": 5})
    monkeypatch.setattr(bench, "parts", lambda trainer: {"adam": 0.001, "rest": 0.002})
    done = ssgan(*TINY, "--lanes", "1,2", "--seconds", "0.1", "--markdown", str(tmp_path / "speed.md"))
    assert done.exit_code == 0 and "lane-steps/s" in done.stdout and "ms by part, 2 lanes" in done.stdout
    lines = [line for line in (tmp_path / "speed.md").read_text().splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines] == ["lanes", "1", "2"]
    told = done.stdout.count("operations a step and run"), (tmp_path / "speed.md").read_text().count("would take")
    assert told == (2, 2)
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(("options", "told"), [
    (["--lanes", "0"], "numbers from 1 to 1024"), (["--lanes", "1;4"], "numbers from 1 to 1024"),
    ([], "nothing to measure"), (["--labels", "20"], "--labels is of the table"),
    (["--seeds", "3"], "--seeds is of the table"), (["--group", "4"], "--group is of the table"),
    (["--table", "1", "--labels", "25"], "multiple of 10"), (["--table", "1", "--labels", "x"], "no label budget"),
    (["--table", "1", "--seeds", "3,3"], "twice"), (["--table", "1", "--group", "many"], "--group many"),
    (["--table", "1", "--markdown", "nowhere/table.md"], "--markdown nowhere/table.md"),
    (["--table", "1", "--set", "train.epoch=1"], "train.epoch"),
    (["--table", "1", "--device", "cuda:99"], "torch finds"), (["--table", "1", "--recipe", "x"], "no recipe")])
def test_wrong_input_is_one_clear_mistake(ssgan, options, told):
    done = ssgan(*TINY, *options)
    assert (done.exit_code == 2 and done.stdout == "" and told in done.stderr and done.stderr.startswith("ssgan: ")
            and len(done.stderr.splitlines()) <= 3)


@pytest.mark.slow
def test_it_works_from_a_bare_checkout_without_mlflow_and_matplotlib(tmp_path):
    program = ("import sys; sys.modules.update(dict.fromkeys(('mlflow', 'matplotlib', 'sqlalchemy')))\nfrom ssgan.cli "
               "import main; main()")
    done = subprocess.run([sys.executable, "-c", program, *TABLE, "--lanes", "1", "--seconds", "0.1", "--json"],
                          cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    assert "profiler" not in done.stderr and "ERROR" not in done.stderr  # torch's profiler, which looks at a step
    assert json.loads(done.stdout.splitlines()[-1])["table"]["complete"] and not list(tmp_path.iterdir())
