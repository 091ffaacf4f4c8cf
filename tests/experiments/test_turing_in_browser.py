"""The visual Turing test in a real browser: a session of 100 answers, and a page that goes out and comes back."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import browser
import numpy as np
import pytest
from cli.test_run import ssgan
from cli.test_sample import RUN

from ssgan.experiments.turing_answers import known_tests
from ssgan.tracking import Store, run_ids
from ssgan.tracking.workfolder import WorkFolder

pytestmark = pytest.mark.slow
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "r": 82, "g": 71}
NO_STORE = ["--tracking-uri", "none"]  # which takes seconds
NOW = "document.activeElement.id"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a trained run in its store."""
    if browser.PROGRAM is None:
        (pytest.fail if os.environ.get("SSGAN_NEED_BROWSER") else pytest.skip)(
            "no chromium here: apt-get install chromium, then this test answers on the page in it")
    folder = tmp_path_factory.mktemp("turing")
    done = ssgan(folder, *RUN)
    assert done.returncode == 0, done.stderr
    return folder


@contextlib.contextmanager
def session(folder: Path, *options: str):
    """A session's address; afterwards, a list holds what its --json told after Ctrl-C."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "ssgan", "turing", "latest", *options, "--json"], cwd=folder,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told: list[dict] = []
    try:
        lines = iter(process.stderr.readline, "")
        address = next(line.split()[0] for line in lines if line.startswith("http://127.0.0.1:"))
        yield address, told
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        told.append(json.loads(out.splitlines()[-1]))
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def press(page: browser.Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        page.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=KEYS[key], **text)


def wait(page: browser.Browser, expression: str) -> None:
    until = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < until, f"{expression} was never so:\n{page.text()}"
        time.sleep(0.02)


def place(page: browser.Browser, number: int) -> None:
    """Waits until that image is asked for."""
    wait(page, f"document.getElementById('place').textContent === 'Image {number} of 100'")


def enter(page: browser.Browser, address: str, name: str) -> None:
    page.open(address)
    page.wait_for("Begin")
    wait(page, "document.readyState === 'complete'")
    page.evaluate("document.getElementById('name').focus()")
    page.ask("Input.insertText", text=name)
    press(page, "Enter")


def test_a_session_of_a_hundred_answers_ends_in_the_store(run):
    rng = np.random.default_rng(3)
    with session(run, "--seed", "4") as (address, told), browser.Browser(390, 844) as page:
        enter(page, address, "Zoë")
        place(page, 1)
        assert page.evaluate(NOW) == "test"
        for number, kind in enumerate(rng.choice(["r", "g"], 100), 1):  # at random
            place(page, number)
            how = number % 3
            if how == 0:
                page.evaluate(f"document.getElementById('{'real' if kind == 'r' else 'generated'}').click()")
            else:
                press(page, kind if how == 1 else {"r": "ArrowLeft", "g": "ArrowRight"}[kind])
        text = page.wait_for("All 100 images answered, Zoë", "All images:", "Real images:", "95\u00a0% interval")
        assert page.evaluate(NOW) == "end" and page.evaluate("document.documentElement.scrollWidth") <= 390
        enter(page, address, "Zoë")  # once more: there is nothing left to answer
        page.wait_for("All 100 images answered, Zoë", "All images:")
        enter(page, address, "Bob")
        place(page, 1)
    row, = told[0]["results"]
    assert row["answers"] == 100 and row["low"] <= 0.5 <= row["high"] and list(row["people"]) == ["Zoë"]
    assert f"All images: {row['right']} of 100 right" in text
    store = Store(f"sqlite:///{run}/mlruns/mlflow.db")
    folder, = WorkFolder.all(run)
    stored = store.client().get_run(run_ids(folder)[-1])
    assert stored.data.metrics["turing/accuracy"] == row["accuracy"] and stored.data.metrics["turing/answers"] == 100
    for kind in ("real", "generated"):
        assert stored.data.metrics[f"turing/{kind}_accuracy_low"] == row[kind]["low"] <= row[kind]["accuracy"]
    files = [entry.path for entry in store.client().list_artifacts(stored.info.run_id, "turing")]
    assert "turing/results.json" in files and stored.info.status == folder.facts["status"]


LOST = """const real = window.fetch; let lost = %d;
window.fetch = async (...given) => { if (given[0] === "begin" && !--lost) throw new TypeError("no reply");
  const reply = await real(...given); if (given[0] === "answer" && lost >= 0 && !window.once) {
    window.once = true; throw new TypeError("no reply"); } return reply; }; 1"""


@pytest.mark.parametrize("failures", [0, 1])
def test_an_answer_whose_reply_was_lost_is_not_given_twice(run, failures):
    """The answer arrives, its reply does not: the next press is refused as the second, and the test goes on behind it;
    also where what is known cannot be asked for at once.
    """
    name = ["Ida", "Eva"][failures]
    with session(run, "--seed", "20", *NO_STORE) as (address, told), browser.Browser() as page:
        enter(page, address, name)
        place(page, 1)
        page.evaluate(LOST % failures)
        press(page, "r")
        page.wait_for("does not answer")
        press(page, "g")
        if failures:
            wait(page, "window.once && document.getElementById('real').getAttribute('aria-disabled') === 'false'")
            page.wait_for("does not answer")
            press(page, "g")
        place(page, 2)
        press(page, "g")
        place(page, 3)
    assert [row["people"][name]["answers"] for row in told[0]["results"] if name in row["people"]] == [2]


def test_with_feedback_each_answer_is_told_and_the_keyboard_alone_is_enough(run):
    with session(run, "--feedback", "--top", "10%", *NO_STORE) as (address, told), browser.Browser() as page:
        enter(page, address, "Ann")
        right = 0
        for number in range(1, 4):
            place(page, number)
            assert page.evaluate(NOW) == "test"
            press(page, "r")
            page.wait_for("it is a")
            right += "Right" in page.evaluate("document.getElementById('status').textContent")
            press(page, "g")  # changes nothing any more
            assert page.evaluate(NOW) == "next"
            press(page, "Enter")
        place(page, 4)
    row = next(row for row in told[0]["results"] if row["feedback"])
    assert (row["top"], row["answers"], row["right"]) == (10.0, 3, right)
    assert "1,437 training labels" in told[0]["network"]


def test_a_page_that_was_sent_is_answered_from_the_disk_and_its_file_comes_back(run, tmp_path):
    made = ssgan(run, "turing", "latest", "--seed", "9", "--export", str(tmp_path / "page.html"), "--json", *NO_STORE)
    assert made.returncode == 0, made.stderr
    with browser.Browser(1200, 900) as page:
        page.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        enter(page, f"file://{tmp_path}/page.html", "Böb 👩‍🔬")
        for number in range(1, 101):
            place(page, number)
            press(page, "r" if number % 2 else "ArrowRight")
        page.wait_for("All 100 images answered", "Save the answers")
        assert "interval" not in page.text()  # it knows nothing of what is real
        page.evaluate("document.getElementById('save').click()")
        until = time.monotonic() + 60
        while not (files := list(tmp_path.glob("turing-*.json"))):
            assert time.monotonic() < until, list(tmp_path.iterdir())
            time.sleep(0.1)
        assert files[0].read_text(encoding="utf-8") == page.evaluate("document.getElementById('text').value")
    taken = ssgan(run, "turing", "latest", "--import", str(files[0]), "--json", *NO_STORE)
    assert taken.returncode == 0, taken.stderr
    folder, = WorkFolder.all(run)
    test, = [answers.test for answers in known_tests(folder) if answers.test.id in files[0].read_text()]
    found = json.loads(taken.stdout.splitlines()[-1])["results"]
    person = next(row for row in found if not row["feedback"])["people"]["Böb 👩‍🔬".replace("\u200d", " ")]
    assert person["answers"] == 100 and person["right"] == test.tally("rg" * 50).all.right
