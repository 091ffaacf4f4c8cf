"""A delivery: what MLflow's client reads back, and that cuts anywhere lose and double nothing."""

import itertools
import math
import shutil

import pytest

from ssgan.tracking import Store, Undelivered, deliver, delivered, run_id
from ssgan.tracking import delivery as module
from ssgan.tracking.workfolder import WorkFolder

CALLS = ("create_run", "update_run", "log_batch", "log_inputs", "log_artifact", "set_terminated")


def finish(folder: WorkFolder) -> None:
    folder.finish_stage("train", 12.5)
    (folder.stage_folder("evaluate") / "probabilities.npz").write_bytes(b"numbers")
    folder.update(status="FINISHED", result={"test_error": 0.02}, ended=1_700_000_100.5)


def expected_metrics(lines: int) -> dict:
    times = [(step * 100, 1_700_000_001_000 + 1000 * step) for step in range(lines)]
    return {
        "train/loss": [(step, at, 1 / (step // 100 + 1)) for step, at in times],
        "train/rate": [(step, at, 0.003) for step, at in times],
    }


def check_whole(folder: WorkFolder, run, lines: int) -> None:
    """The run holds exactly what `make` and `finish` put into the folder."""
    params = {"dataset": "digits", "labels": "100", "train.learning_rate": "0.003", "model.widths": "[1000, 500]",
              "gan": "true"}
    assert run.params == params
    stage = run.metrics.pop("stage/train/seconds")
    assert [(step, value) for step, _, value in stage] == [(0, 12.5)]
    assert run.metrics == expected_metrics(lines)
    assert run.inputs == [("digits", "ab" * 18, '{"tags": {"mlflow.source.name": "sklearn.datasets.load_digits"}}')]
    assert run.files == {
        "train/samples.png": b"picture",
        "split/deep/split.npz": b"tables",
        "evaluate/probabilities.npz": b"numbers",
        "run.json": folder.run_file.read_bytes(),
    }
    assert (run.status, run.start, run.end) == ("FINISHED", 1_700_000_000_125, 1_700_000_100_500)
    assert run.name == f"digits-100 {folder.fingerprint}"
    assert run.tags["ssgan.fingerprint"] == folder.fingerprint
    assert run.tags["ssgan.torch"] == "2.11" and run.tags["mlflow.user"] == "somebody"


def test_everything_arrives_and_a_second_time_sends_nothing(store, make, content, monkeypatch):
    folder = make("whole")
    with folder.lock():
        pass  # as a run has held it
    finish(folder)
    assert not delivered(folder, store)
    run = deliver(folder, store)
    assert delivered(folder, store) and run_id(folder, store) == run
    whole = content(store, run)
    check_whole(folder, whole, 3)
    for name in ("host", "pid", "start"):
        assert whole.tags[f"ssgan.{name}"] == str(folder.holder[name])
    for name in CALLS:
        monkeypatch.setattr(store.client(), name, None)
    assert deliver(folder, store) == run


def test_a_live_run_arrives_bit_by_bit(store, make, content):
    folder = make("live", lines=2)
    run = deliver(folder, store)
    assert content(store, run).status == "RUNNING" and "run.json" not in content(store, run).files
    folder.measure(200, {"train/loss": 1 / 3, "train/rate": 0.003}, at=1_700_000_003)
    folder.flush()
    (folder.path / "train" / "samples.png").write_bytes(b"another")
    (folder.path / "train" / ".half.png").write_bytes(b"to be renamed")
    assert deliver(folder, store) == run
    assert content(store, run).files["train/samples.png"] == b"another"
    (folder.path / "train" / ".half.png").unlink()
    (folder.path / "train" / "samples.png").write_bytes(b"picture")
    finish(folder)
    assert deliver(folder, store) == run
    check_whole(folder, content(store, run), 3)


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_how_it_ended_and_that_it_goes_on(store, make, content, status):
    folder = make(f"end-{status}", status=status, error="loss is nan at step 7")
    run = deliver(folder, store)
    ended = content(store, run)
    assert ended.status == status and ended.tags["ssgan.error"] == "loss is nan at step 7"
    assert ended.end == int(folder.facts["ended"] * 1000)
    folder.update(status="RUNNING", error=None)
    assert deliver(folder, store) == run
    again = content(store, run)
    assert again.status == "RUNNING" and again.tags["ssgan.error"] == ""
    finish(folder)
    deliver(folder, store)
    check_whole(folder, content(store, run), 3)


def test_numbers_without_bounds(store, make, content):
    folder = make("infinite", lines=0)
    folder.measure(1, {"a": math.inf, "b": -math.inf, "c": math.nan})
    folder.flush()
    values = {name: history[0][2] for name, history in content(store, deliver(folder, store)).metrics.items()}
    assert values["a"] > 1.7e308 and values["b"] < -1.7e308 and math.isnan(values["c"])


def test_more_than_one_call_may_hold(store, make, monkeypatch):
    params = {f"p{i}": "x" * 7000 for i in range(150)}
    folder = make("large", lines=0, params=params, tags={f"t{i}": "y" * 9000 for i in range(120)})
    for step in range(700):
        folder.measure(step, {"a/T-shirt (top)": step, "b//c": -step}, at=1_700_000_000 + step)
    folder.measure(700, {f"wide/{i}": i for i in range(1500)})
    folder.flush()
    calls = _count(monkeypatch, store)
    run = store.client().get_run(deliver(folder, store)).data
    assert set(run.params) == set(params) and run.params["p7"] == "x" * 5999 + "…"
    assert run.tags["t119"] == "y" * 4999 + "…"
    assert {name: value for name, value in run.metrics.items() if name.startswith("wide")} == {
        f"wide/{i}": i for i in range(1500)}
    for name, sign in (("a/T-shirt _top_", 1), ("b/c", -1)):
        history = store.client().get_metric_history(run_id(folder, store), name)
        assert [(row.step, row.value, row.timestamp) for row in history] == [
            (i, sign * i, (1_700_000_000 + i) * 1000) for i in range(700)]
    assert calls["metrics"] == [1000, 400, 1000, 500]


class Cut(BaseException):
    """A kill: nothing in the code may catch it."""


def test_cut_off_anywhere_the_next_delivery_completes_it(store, make, content, monkeypatch):
    monkeypatch.setattr(module, "MOST_VALUES", 4)  # two lines of the journal a call
    wire = Wire(monkeypatch, store)
    whole = make("uncut", lines=3)
    finish(whole)
    deliver(whole, store)
    assert set(wire.names) == set(CALLS) - {"update_run"}
    names = list(wire.names)
    for number, acted in itertools.product(range(len(names)), (False, True)):
        if names[number] != "log_artifact" or names[number - 1] != "log_artifact":  # one file stands for all
            folder = make(f"cut-{number}-{acted}", lines=3)
            finish(folder)
            wire.cut_at(number, acted)
            with pytest.raises(Cut):
                deliver(folder, store)
            run = deliver(folder, store)
            assert wire.names.count("create_run") + wire.failed.count("create_run") == 1 + (
                wire.failed == ["create_run"])
            assert len(wire.rows) == len(set(wire.rows)) == 7, "a row was sent twice"
            check_whole(folder, content(store, run), 3)


class Wire:
    """Stands between the client and the store: notes the calls, and fails one before or after the store acted."""

    def __init__(self, monkeypatch, store):
        self.cut_at(None, False)
        for name in CALLS:
            monkeypatch.setattr(store.client(), name, self._through(name, getattr(store.client(), name)))

    def cut_at(self, number, acted):
        self.names, self.failed, self.rows, self.number, self.acted = [], [], [], number, acted

    def _through(self, name, call):
        def through(*args, **kwargs):
            cut, self.number = self.number == len(self.names), None if self.number == len(self.names) else self.number
            if cut and not self.acted:
                self.failed.append(name)
                raise Cut
            result = call(*args, **kwargs)
            self.names.append(name)
            self.rows += [(row.key, row.step) for row in kwargs.get("metrics", ())]
            if cut:
                raise Cut
            return result

        return through


def test_a_run_whose_record_was_lost_is_found_again(store, make, content):
    folder = make("lost")
    finish(folder)
    run = deliver(folder, store)
    (folder.path / "delivery.json").unlink()
    assert deliver(folder, store) == run
    check_whole(folder, content(store, run), 3)


def test_begun_anew_it_is_another_run(store, make):
    folder = make("anew")
    first = deliver(folder, store)
    folder.update(created=1_700_000_500.0)
    assert deliver(folder, store) != first


def test_two_stores_hold_the_same_run(store, make, content, tmp_path, template):
    shutil.copy(template, tmp_path / "mlflow.db")
    other = Store(f"sqlite:///{tmp_path}/mlflow.db")
    folder = make("both")
    finish(folder)
    first, second = deliver(folder, store), deliver(folder, other)
    assert first != second and delivered(folder, store) and delivered(folder, other)
    check_whole(folder, content(store, first), 3)
    check_whole(folder, content(other, second), 3)


def test_a_store_that_was_deleted_is_filled_again(make, content, tmp_path, template):
    database = tmp_path / "mlflow.db"
    shutil.copy(template, database)
    other = Store(f"sqlite:///{database}")
    folder = make("deleted", lines=1)
    first = deliver(folder, other)
    replacement = tmp_path / "new.db"
    shutil.copy(template, replacement)
    replacement.replace(database)
    assert not delivered(folder, other)
    folder.measure(100, {"train/loss": 0.5, "train/rate": 0.003}, at=1_700_000_002)
    finish(folder)
    second = deliver(folder, other)
    assert first != second and delivered(folder, other)
    check_whole(folder, content(other, second), 2)


def test_a_run_deleted_in_mlflow_stays_deleted(store, make):
    folder = make("unwanted")
    run = deliver(folder, store)
    store.client().delete_run(run)
    finish(folder)
    with pytest.raises(Undelivered, match=f"its run was deleted in MLflow .{run}") as caught:
        deliver(folder, store)
    assert not caught.value.everywhere


def test_one_delivery_at_a_time(store, make):
    folder = make("busy")
    with module.locked(folder.path / "delivery.lock"), pytest.raises(module.Busy, match="another process"):
        deliver(folder, store)
    deliver(folder, store)


def test_a_broken_journal_is_the_folders_own_fault(store, make):
    folder = make("broken")
    (folder.path / "measurements.jsonl").write_text("{}\n")
    with pytest.raises(Undelivered, match="line 1 is no measurement") as caught:
        deliver(folder, store)
    assert not caught.value.everywhere


def _count(monkeypatch, store) -> dict[str, list[int]]:
    counted = {"metrics": []}
    log_batch = store.client().log_batch

    def counting(run, **kwargs):
        if "metrics" in kwargs:
            counted["metrics"].append(len(kwargs["metrics"]))
        return log_batch(run, **kwargs)

    monkeypatch.setattr(store.client(), "log_batch", counting)
    return counted
