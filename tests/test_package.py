"""The wheel: what it holds, and that it works away from the checkout."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
import ssgan
from curves import curve
from ssgan.experiments.report import compare, page
print(Path(ssgan.__file__).parents[1], "How good is that?" in page(compare(curve()), "title", {"digits": b""}))
"""


def test_every_folder_with_code_is_named_as_a_package():
    named = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "ssgan").rglob("*.py")}
    assert named == found | {"ssgan.pipelines"}


def test_every_file_beside_the_code_is_packaged():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    beside = [path for path in (ROOT / "ssgan").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert beside
    for path in beside:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        told = f"{path.relative_to(ROOT)}: name it in pyproject's package-data"
        assert any(path.match(pattern) for pattern in named.get(package, [])), told


@pytest.mark.slow
def test_the_wheel_works_away_from_the_checkout(tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)],
                   check=True)
    wheel, = tmp_path.glob("ssgan-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    where = subprocess.run([sys.executable, "-c", "import ssgan; print(ssgan.__file__)"], cwd=tmp_path, env=environment,
                           capture_output=True, text=True)
    assert str(tmp_path) in where.stdout
    told = subprocess.run([sys.executable, "-m", "ssgan", "recipes"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert {path.stem for path in (ROOT / "pipelines").glob("*.toml")} == {
        line.split()[0] for line in told.stdout.splitlines()}
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())
    made = subprocess.run([sys.executable, "-c", PAGE, str(ROOT / "tests")], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert (made.returncode, made.stdout.split()) == (0, [str(tmp_path / "site"), "True"]), made.stderr
