"""The command line of `ssgan turing`: sessions, pages that are sent out, answers that come back."""

import json
import re
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest

from cli.in_process import commands_in
from cli.test_sample import RUN
from ssgan.cli.turing import parse_top
from ssgan.errors import Mistake
from ssgan.evaluation.scoring_network import Answers, Network
from ssgan.evaluation.turing_test import Share
from ssgan.experiments import turing_server
from ssgan.experiments.turing_answer_file import AnswerFile, fnv_1a, read_answer_file
from ssgan.experiments.turing_answers import known_tests
from ssgan.tracking.workfolder import WorkFolder

FEW = ["-n", "8"]


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Types a command in a folder with two runs, the latest one with a generator, whose results stay there."""
    with commands_in(tmp_path_factory.mktemp("turing"), light=True) as command:
        done = command(*RUN, "--tracking-uri", "none")
        assert done.exit_code == 0, done.output
        whole, = Path("mlruns/work").iterdir()
        shutil.copytree(whole, whole.with_name("0" * 16))
        without = WorkFolder(whole.with_name("0" * 16))
        settings = without.facts["settings"]
        for name, key in (("gan", "weight"), ("feature_matching", "weight"), ("pictures", "steps")):
            settings["recipe"][name][key] = 0
        without.update(settings=settings, created=without.facts["created"] - 1)
        yield lambda *arguments: command(*arguments, "--tracking-uri", "none")


@pytest.fixture
def turing(typed):
    """Types `ssgan turing`; what people answered before is gone."""
    for folder in WorkFolder.all(Path("mlruns/work")):
        for path in (folder.path / "turing").glob("*"):
            path.unlink()
        (folder.path / "measurements.jsonl").unlink(missing_ok=True)
    return lambda run, *arguments: typed("turing", run, *arguments)


def runs():
    """The fingerprints of the run without a generator, and of the one with it."""
    return [folder.fingerprint for folder in sorted(WorkFolder.all(Path("mlruns/work")),
                                                    key=lambda folder: folder.facts["created"])]


def found(done):
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def exported(turing, path, *options):
    """A page, and its test."""
    told = found(turing("latest", *FEW, "--export", str(path), "--json", *options))
    test, = [answers.test for answers in known_tests(WorkFolder(Path("mlruns/work") / runs()[1]))
             if answers.test.id == told["test"]]
    return told, test


def sent(path, test, answers, name="Ann", /, **changes):
    """A file as the page saves it, but for the changes."""
    file = AnswerFile(test, name, answers)
    path.write_text(json.dumps({"format": "ssgan-turing-answers 1", "test": test, "name": name, "answers": answers,
                                "check": file.check} | changes), encoding="utf-8")
    return str(path)


def test_a_page_goes_out_and_its_answers_come_back(turing, tmp_path):
    told, test = exported(turing, tmp_path / "page.html", "--name", "Zoë")
    assert told["path"] == str(tmp_path / "page.html") and told["images"] == 8 and told["real"] == "test images"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert test.id in page and 'value="Zoë"' in page and not any(run in page for run in runs())
    truth = test.truth()
    wrong = truth.translate(str.maketrans("rg", "gr"))
    files = [sent(tmp_path / "1.json", test.id, truth), sent(tmp_path / "2.json", test.id, wrong[:4] + "-" * 4, "Bob")]
    row, = found(turing("latest", "--import", files[0], "--import", files[1], "--json"))["results"]
    assert (row["right"], row["answers"], row["top"], row["feedback"]) == (8, 12, None, False)
    assert row["accuracy"] == 8 / 12 and [row["low"], row["high"]] == list(Share(8, 12).interval)
    assert row["real"]["answers"] + row["generated"]["answers"] == 12
    assert {name: one["accuracy"] for name, one in row["people"].items()} == {"Ann": 1.0, "Bob": 0.0}
    folder = WorkFolder(Path("mlruns/work") / runs()[1])
    _, step, _, values = list(folder.measurements())[-1]
    assert step == 12 and values["turing/accuracy"] == row["accuracy"] and values["turing/answers"] == 12
    assert json.loads((folder.path / "turing/results.json").read_text()) == [row]
    more = turing("latest", "--import", sent(tmp_path / "3.json", test.id, "-" * 4 + truth[4:], "Bob"))
    assert more.exit_code == 0 and re.search(r"Bob +50.0 %  4 of 8 right; 95 % interval", more.stdout)
    assert list(folder.measurements())[-1][1] == 16


def test_the_same_test_has_the_same_images_and_another_seed_others(turing, tmp_path):
    first, again, other = (exported(turing, tmp_path / "page.html", "--seed", seed)[0] for seed in "556")
    assert first == again and first["pixels"] != other["pixels"] and first["test"] != other["test"]


def test_the_best_images_by_score_are_counted_apart(turing, tmp_path, monkeypatch):
    def network(train, test, device, progress):
        name = f"of {len(train):,} training labels"
        return Network(name, None, lambda x: Answers(x.flatten(1)[:, :10].softmax(1), x.flatten(1)))

    monkeypatch.setattr("ssgan.evaluation.networks.domain_classifier", network)
    told, test = exported(turing, tmp_path / "page.html", "--top", "5%")
    assert told["top"] == test.top == 5.0 and test.looked_at == 80 and told["network"] == "of 1,437 training labels"
    row, = found(turing("latest", "--import", sent(tmp_path / "a.json", test.id, "r" * 8), "--json"))["results"]
    assert row["top"] == 5.0 and row["accuracy"] == 0.5
    folder = WorkFolder(Path("mlruns/work") / runs()[1])
    assert list(folder.measurements())[-1][3]["turing/top_5/generated_accuracy"] == 0


def test_an_answer_file_of_another_run_or_changed_by_hand_is_refused_and_nothing_is_taken(turing, tmp_path):
    _, test = exported(turing, tmp_path / "page.html")
    right = sent(tmp_path / "right.json", test.id, "r" * 8)
    for number, (expected, *file) in enumerate((
            ("changed after the page had saved it", test.id, "r" * 8, "Ann", {"answers": "g" + "r" * 7}),
            ("changed after", test.id, "r" * 8, "Ann", {"name": "Bob"}),
            ("changed after", test.id, "r" * 8, "Ann", {"check": 7}),
            ("changed after", test.id, "xyz", "Ann", {}),
            ("no file of answers", test.id, "r" * 8, "Ann", {"format": "other"}),
            ("answers to test 0123456789abcdef", "0123456789abcdef", "r" * 8, "Ann", {}),
            ("answers to 6 images, and its test has 8", test.id, "r" * 6, "Ann", {}),
            ("has answered nothing", test.id, "-" * 8, "Ann", {}),
            ("changed after", test.id, "r" * 8, "\n", {}))):
        path = sent(tmp_path / f"{number}.json", *file[:3], **file[3])
        refused = turing("latest", "--import", right, "--import", path)
        assert refused.exit_code == 2 and expected in refused.stderr and path in refused.stderr, refused.stderr
        assert len(refused.stderr.strip().splitlines()) <= 3
    assert all(not answers.people for answers in known_tests(WorkFolder(Path("mlruns/work") / runs()[1])))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"[" * 5000, b"{" + b" " * 200_000 + b"}"])
def test_what_is_no_answer_file_is_told_so(turing, tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    refused = turing("latest", "--import", str(tmp_path / "x.json"))
    assert refused.exit_code == 2 and "no file of answers" in refused.stderr
    refused = turing("latest", "--import", str(tmp_path / "none.json"))
    assert refused.exit_code == 2 and "No such file" in refused.stderr


def test_an_image_is_answered_once_by_a_person(turing, tmp_path):
    _, test = exported(turing, tmp_path / "page.html")
    path, other = sent(tmp_path / "a.json", test.id, "r" * 8), sent(tmp_path / "b.json", test.id, "g" * 8)
    twice = turing("latest", "--import", path, "--import", path)
    assert twice.exit_code == 2 and "have been taken already" in twice.stderr
    assert turing("latest", "--import", path).exit_code == 0
    again = turing("latest", "--import", path)
    assert again.exit_code == 2 and "the answers of Ann have been taken already" in again.stderr
    changed = turing("latest", "--import", other)
    assert changed.exit_code == 2 and "not always so" in changed.stderr and "--name" in changed.stderr
    row, = found(turing("latest", "--import", other, "--name", "Ann K.", "--json"))["results"]
    assert set(row["people"]) == {"Ann", "Ann K."}


def test_answers_that_were_changed_in_the_work_folder_are_told_of(turing, tmp_path):
    _, test = exported(turing, tmp_path / "page.html")
    path = Path("mlruns/work") / runs()[1] / "turing" / f"{test.id}.json"
    text = path.read_text()
    for content in ("{", "{}", text.replace('"seed": 0', '"seed": 1'),
                    text.replace('"people": {}', '"people": {"Ann": "rrrrrrrx"}')):
        path.write_text(content)
        refused = turing("latest", "--import", sent(tmp_path / "a.json", test.id, "r" * 8))
        assert refused.exit_code == 2 and f"{path.name} is damaged" in refused.stderr


@pytest.mark.parametrize("options, expected", [
    (["-n", "7"], "try -n 8"),
    (["-n", "0"], "try -n 2"),
    (["-n", "1002"], "try -n 1000"),
    (["-n", "800"], "try -n 720"),
    (["--top", "0%"], "above 0 % and up to 100"),
    (["--top", "101"], "above 0 % and up to 100"),
    (["--top", "best"], "for example --top 1%"),
    (["--top", "0.01%"], "at most 100,000"),
    (["--port", "70000"], "0<=x<=65535"),
    (["--name", " "], "it is empty"),
    (["--export", "x.txt"], "name a .html file"),
    (["--export", "none/x.html"], "in a folder that exists"),
    (["--export", "x.html", "--feedback"], "has to hold the truth"),
    (["--export", "x.html", "--port", "5000"], "--export goes without --port"),
    (["--import", "x.json", "-n", "8", "--top", "1%"], "goes without --images, --top: leave them out"),
    (["--import", "x.json", "--export", "x.html"], "--import goes without --export"),
])
def test_what_cannot_be_is_one_clear_mistake(turing, options, expected):
    refused = turing("latest", *options)
    assert refused.exit_code == 2 and expected in refused.stderr and "Traceback" not in refused.stderr
    assert not list(Path("mlruns/work").glob("*/turing/*")) and not Path("x.html").exists()


def test_an_unknown_run_one_without_a_generator_and_one_that_sent_nothing_out(turing, tmp_path):
    unknown = turing("abcdef", *FEW)
    assert unknown.exit_code == 2 and "no run is called 'abcdef'" in unknown.stderr
    without = turing(runs()[0], *FEW)
    assert without.exit_code == 2 and "was trained without a generator" in without.stderr
    _, test = exported(turing, tmp_path / "page.html")
    other = turing(runs()[0], "--import", sent(tmp_path / "a.json", test.id, "r" * 8))
    assert other.exit_code == 2 and f"answers to test {test.id}, and run " in other.stderr
    assert "has none.\nName the run" in other.stderr


def test_a_port_that_is_taken_is_told_before_any_image_is_made(turing):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = turing("latest", *FEW, "--port", str(port))
    assert refused.exit_code == 2 and f"--port {port} is in use: try --port" in refused.stderr


def test_a_session_prints_its_address_ends_with_ctrl_c_and_keeps_the_answers(turing, monkeypatch):
    def served(server):  # one person, who answers three images and leaves
        for number in range(3):
            server.answers.answer("Ann", number, server.answers.test.truth()[number])
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(turing_server.TuringServer, "serve_forever", served)
    monkeypatch.setattr(turing_server.TuringServer, "shutdown", lambda server: None)
    done = turing("latest", *FEW, "--json")
    told = found(done)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", told["address"]) and told["address"] in done.stderr
    assert told["results"][0]["people"]["Ann"]["right"] == 3 and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("text", "share"), [
    ("1%", 1.0), ("1", 1.0), (" 0.5 % ", 0.5), ("100%", None), (None, None), ("12.25%", 12.25)])
def test_a_share_is_read(text, share):
    assert parse_top(text) == share


@pytest.mark.parametrize("text", ["", "%", "-1", "1e1", "nan", "1,5", "0", "0.0000", "100.1", "1000"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(Mistake, match="--top"):
        parse_top(text)


def test_the_checksum_is_fnv_1a(tmp_path):
    assert [fnv_1a(content) for content in (b"", b"a", b"foobar")] == ["811c9dc5", "e40c292c", "bf9cf968"]
    path = Path(sent(tmp_path / "a.json", "t" * 16, "rg-", "Zoë 👩‍🔬"))
    assert read_answer_file(path) == AnswerFile("t" * 16, "Zoë 👩‍🔬", "rg-")
