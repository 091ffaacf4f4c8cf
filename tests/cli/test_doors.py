"""What every command does with streams that fail, names that nobody can print or read, and an early Ctrl-C; by processes
as a person starts them.
"""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import handed
import pytest
import unprivileged
from click.testing import CliRunner

from ssgan.cli import main
from ssgan.files import shown

ROOT = Path(__file__).parent.parent.parent
FULL = "stdout cannot be written: No space left on device. What was done by then is kept.\n"
ODD = [b"caf\xe9.png", "zwölf.png".encode(), b"new\nline.png", b"re\rturn.png", b"red\x1b[31m.png", b'quote",.png']
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(scope="module")
def model() -> Path:
    return handed.exported("onnx")


@pytest.fixture
def picture(tmp_path) -> Path:
    return handed.write_pictures(tmp_path, handed.images_of_test()[:1])[0]


def ssgan(words: str, *more: object, **environment: str) -> subprocess.CompletedProcess:
    """A command as a shell runs it: `words` may close or turn streams, "$@" stands for `more`; outputs are bytes."""
    command = f"exec {sys.executable} -m ssgan {words}"
    places = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(["bash", "-c", command, "ssgan", *map(str, more)], capture_output=True, timeout=120,
                          env=os.environ | places | environment, cwd=handed.place())


@pytest.fixture(autouse=True)
def interruptible():
    """A shell's background jobs ignore Ctrl-C, and what they start does too: here it is heard."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


COMMANDS = ["--help", "recipes digits", "recipes --keys", *(pytest.param(words, marks=pytest.mark.slow) for words in (
                "--version", "predict --help", "recipes", "recipes --evidence")),
            "evaluate latest --tracking-uri none --quiet --json", 'predict "$1" "$2"', 'predict "$1" "$2" --csv',
            'predict "$1" "$2" --json', pytest.param(
                'export latest --tracking-uri none --json --force -o "$3/x.onnx"', marks=pytest.mark.slow)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_stdout_is_one_line_and_exit_code_1(model, picture, command):
    done = ssgan(f"{command} > /dev/full", model, picture, picture.parent)
    told = [line for line in done.stderr.decode().splitlines() if line.startswith("ssgan: stdout")]
    assert (done.returncode, told) == (1, [f"ssgan: {FULL.strip()}"]) and b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_closed_stdout_is_told_too(model, picture):
    done = ssgan('predict "$@" >&-', model, picture)
    assert (done.returncode, done.stderr.decode()) == (
        1, "ssgan: stdout cannot be written: Bad file descriptor. What was done by then is kept.\n")


@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-"])
def test_without_a_stderr_the_answers_come(model, picture, stderr):
    done = ssgan(f'predict "$@" {stderr}', model, "gone.png", picture)
    assert done.returncode == 1 and done.stdout.decode().endswith(f"{picture}\n") and done.stdout.count(b"\n") == 1


def test_a_closed_stdin_is_listed_and_the_other_files_are_answered(model, picture):
    done = ssgan('predict "$1" - "$2" <&-', model, picture)
    assert done.returncode == 1 and done.stdout.decode().endswith(f"{picture}\n")
    assert done.stderr == b"ssgan: no answer for -: the list cannot be read: stdin is closed\n"


def test_a_reader_that_goes_away_is_no_fault(model, picture):
    for number in range(300):
        shutil.copy(picture, picture.parent / f"copy{number}.png")
    done = ssgan('predict "$@" | head -1', model, *[picture.parent] * 5)
    assert done.stdout.count(b"\n") == 1 and done.stderr == b""


@pytest.fixture
def odd_names(picture) -> list[bytes]:
    """Files of the same picture, by names in bytes, in the order of the answers."""
    folder = os.fsencode(picture.parent)
    for name in ODD:
        shutil.copy(picture, os.fsdecode(folder + b"/" + name))
    return sorted([os.fsencode(picture), *(folder + b"/" + name for name in ODD)], key=os.fsdecode)


@pytest.mark.parametrize("environment", [{}, C_LOCALE, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}],
                         ids=["plain", "C", "latin-1", "ascii"])
def test_any_name_is_answered_in_any_locale(model, odd_names, environment):
    folder = Path(os.fsdecode(odd_names[0])).parent
    table = ssgan('predict "$@"', model, folder, **environment)
    assert (table.returncode, table.stderr, table.stdout.count(b"\n")) == (0, b"", len(odd_names))
    assert b"\x1b" not in table.stdout and b"\r" not in table.stdout
    assert rb"new\nline.png" in table.stdout and rb"red\x1b[31m.png" in table.stdout
    listed = ssgan('predict "$@" --csv', model, folder, **environment)
    text = io.StringIO(listed.stdout.decode("utf-8", "surrogateescape"), newline="")
    found = [row["path"].encode("utf-8", "surrogateescape") for row in csv.DictReader(text)]
    assert sorted(found) == sorted(odd_names) and (listed.returncode, listed.stderr) == (0, b"")
    told = ssgan('predict "$@" --json', model, folder, **environment)
    assert (told.returncode, told.stderr, len(json.loads(told.stdout)["predictions"])) == (0, b"", len(odd_names))


def test_what_is_said_of_odd_names_is_a_line_each(model, tmp_path):
    for name in ODD:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("no image")
    done = ssgan('predict "$@"', model, tmp_path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and done.stdout == b"" and len(lines) == len(ODD)
    assert all(line.startswith(f"ssgan: no answer for {tmp_path}/") for line in lines)


def test_a_mistake_about_an_odd_name_obeys_no_escape():
    done = ssgan('predict "$@"', "red\x1b[31m.onnx", "x.png")
    assert done.returncode == 2 and rb"red\x1b[31m.onnx: there is no such file" in done.stderr


@pytest.mark.parametrize("name, found", [
    ("plain name.png", "plain name.png"), ("zwölf 図.png", "zwölf 図.png"), ("a\nb\tc", r"a\nb\tc"), ("\x1b[2J", r"\x1b[2J"),
    ("\udcff", r"\xff"), ("\u202egnp.exe", r"\u202egnp.exe"), ("\u2028", r"\u2028"), ("\ud800", r"\ud800")])
def test_a_name_is_shown_in_one_line(name, found):
    assert shown(name) == found


LONG = "x" * 300


@pytest.mark.parametrize("words", [
    ["predict", f"{LONG}.onnx", "x.png"], ["predict", f"{LONG}/model", "x.png"], ["predict", LONG, "x.png"],
    ["compare", "--html", f"{LONG}.html"], ["compare", "--html", f"{LONG}/a.html"], ["run", "--recipe", f"{LONG}.toml"],
    ["run", "--recipe", f"{LONG}/a.toml"], ["run", "--dataset", "mnist", "--data-dir", LONG],
    ["run", "--dataset", "digits", "--tracking-uri", f"sqlite:///{LONG}"],
    ["compare", "--tracking-uri", f"sqlite:///{LONG}/a.db"],
    ["ui", "--tracking-uri", f"sqlite:///{LONG}.db"], ["deliver", "--from", LONG], ["score", LONG],
    ["run", "--resume", LONG], ["sample", LONG], ["sample", "latest", "-o", f"{LONG}.png"],
    ["sample", "latest", "-o", f"{LONG}/a.png"], ["sample", "latest", "-o", LONG, "-n", "2"],
    ["export", "latest", "-o", f"{LONG}.onnx"], ["export", "latest", "-o", f"{LONG}/a.onnx"],
    ["recipes", "digits", "--copy", LONG], ["recipes", "digits", "--picture", f"{LONG}.png"],
    ["recipes", LONG], ["bench", "--markdown", LONG], ["bench", "--markdown", f"{LONG}/a.md"]],
    ids=lambda words: " ".join(words).replace(LONG, "LONG"))
def test_a_name_longer_than_the_file_system_takes_is_a_mistake_at_every_door(words, monkeypatch):
    monkeypatch.chdir(handed.place())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "none")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and 1 <= len(done.stderr.splitlines()) <= 3, (done.output, done.exception)


@pytest.fixture
def shut():
    """A folder of files that another person has shut."""
    with unprivileged.open_folder() as folder:
        for name in ("private", "open"):
            (folder / name).mkdir()
            handed.write_pictures(folder / name, handed.images_of_test()[:1])
        for name in ("private/model.onnx", "model.onnx", "unread.onnx"):
            shutil.copy(handed.exported("onnx"), folder / name)
        shutil.copytree(handed.exported("mlflow"), folder / "mlflow")
        (folder / "unread.onnx").chmod(0)
        next((folder / "mlflow").rglob("*.pt2")).chmod(0)
        (folder / "private").chmod(0o644)
        yield folder
        (folder / "private").chmod(0o755)


@pytest.mark.parametrize("word", ["private/00000.png", "private", "private/*.png"])
def test_a_folder_that_may_not_be_entered_is_told_and_the_other_files_are_answered(shut, word):
    done = unprivileged.ssgan("predict", "model.onnx", word, "open", cwd=shut)
    assert done.returncode == 1 and done.stdout.endswith("open/00000.png\n"), done.stderr
    told, = done.stderr.splitlines()
    assert told.endswith(": Permission denied")


@pytest.mark.parametrize("name", ["private/model.onnx", "unread.onnx", "mlflow"])
def test_a_model_that_may_not_be_read_is_told_as_such(shut, name):
    done = unprivileged.ssgan("predict", name, "open", cwd=shut)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ssgan: cannot read {name}") and done.stderr.endswith(": Permission denied.\n")


def test_a_model_that_cannot_be_read_is_told_as_such_by_root_too(tmp_path, monkeypatch):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"x")

    def refuse(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    done = CliRunner().invoke(main, ["predict", str(path), "x.png"])
    assert (done.exit_code, done.stderr) == (2, f"ssgan: cannot read {path}: Input/output error.\n")


@pytest.mark.parametrize("words", [["predict", "MODEL", "PICTURE"], ["sample", "latest"], ["recipes", "--keys"]],
                         ids=lambda words: words[0])
def test_ctrl_c_at_any_moment_leaves_no_traceback(model, picture, words):
    words = [{"MODEL": str(model), "PICTURE": str(picture)}.get(word, word) for word in words]
    program = (f"import sys; from ssgan.__main__ import main; sys.argv = ['ssgan', *{words!r}]; "
               "print('begun', flush=True); main()")  # before that, Python itself is not ready
    ends = []
    for delay in (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=handed.place(),
                              env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "none"}) as process:
            process.stdout.readline()
            time.sleep(delay + 0.005)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        assert told in ("", "ssgan: stopped.\n"), told
        ends.append(process.returncode)
    assert set(ends) <= {-signal.SIGINT, 130, 0} and ends[0] == -signal.SIGINT


def test_a_ctrl_c_while_python_cleans_up_is_neither_told_nor_forgotten():
    program = """
import sys, time
from ssgan import cli
from ssgan.__main__ import main

class Interrupted:
    def __del__(self):
        raise KeyboardInterrupt

def command(**_):
    Interrupted()
    time.sleep(30)

cli.recipes_command.callback = command
sys.argv = ["ssgan", "recipes"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=25,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (130, "ssgan: stopped.\n")
