"""A sweep's view in MLflow: what is saved, which runs it finds, and what a browser shows of it."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zlib
from dataclasses import replace
from urllib.parse import parse_qs

import browser
import pytest

from ssgan.tracking import (
    Store,
    Undelivered,
    deliver,
    latest_ablation,
    latest_sweep,
    plain_path,
    save_ablation_view,
    save_view,
    stored_runs,
    ui_command,
)
from ssgan.tracking.views import ALONE, BUDGETS, CURVE, DISTANCE, NO_GENERATOR, PERCENT, ROWS, SCORE, SCORES, View

ERRORS = {20: (0.1711, 0.1233), 50: (0.0811, 0.0911), 100: (0.0455, 0.0511), 200: (0.0322, 0.0288)}
SWEEP, ABLATION = "0123456789abcdef", "fedcba9876543210"


def swept(make, store, errors=ERRORS, sweep=SWEEP, at=1_700_000_900.0):
    """Delivers the runs of a sweep and its summary; the ids of the runs."""
    ids = []
    for labels, found in errors.items():
        for seed, error in enumerate(found):
            folder = make(f"{sweep[:4]}-{labels}-{seed}", name=f"digits · {labels} labels · seed {seed}",
                          status="FINISHED", tags={"ssgan.sweep": f"fedc {sweep}"},
                          created=1_700_000_000.0 + labels + seed / 10,
                          params={"dataset": "digits", "labels": labels, "seed": seed, "split_seed": seed})
            folder.measure(300, {"test/error": error, "score/inception_score": 4.0,
                                 "test/wrong": round(error * 10_000)}, at=1_700_000_100)
            folder.measure(labels, {"by_labels/labels": labels, "by_labels/error_percent": 100 * error,
                                    "by_labels/supervised_only_percent": 300 * error,
                                    "by_labels/no_generator_percent": 150 * error, "by_labels/gain_points": 3.0,
                                    "by_labels/generator_gain_points": 0.5}, at=1_700_000_100)
            folder.flush()
            ids.append(deliver(folder, store))
    summary = make(f"{sweep}", name="digits · sweep", kind="summary", status="FINISHED",
                   tags={"ssgan.sweep": sweep, "ssgan.kind": "summary"},
                   params={"dataset": "digits", "grid": "gan.weight=0,1; train.batch=20,50"}, lines=0, created=at)
    deliver(summary, store)
    return ids


@pytest.fixture
def fresh(template, tmp_path) -> Store:
    """An empty store of the test's own."""
    shutil.copy(template, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path}/mlflow.db", experiment="views")


def saved(store, key):
    """A saved view's envelope, and the page's state in it."""
    tag = store.client().get_experiment(store.experiment_id).tags[f"mlflow.sharedViewState.{key}"]
    assert len(tag) < 5000  # MLflow's limit
    envelope = json.loads(tag)
    kind, _, packed = envelope["state"].partition(";")
    assert kind == "deflate"
    return envelope, json.loads(zlib.decompress(base64.b64decode(packed)))


def test_the_saved_view_groups_the_runs_by_budget_and_finds_them_all(fresh, make):
    ids = swept(make, fresh)
    deliver(make("other", status="FINISHED", params={"dataset": "digits", "labels": 20}), fresh)
    view = save_view(fresh, SWEEP, "digits · sweep", ["gan.weight"])
    envelope, state = saved(fresh, f"ssgan-{SWEEP}")
    assert (envelope["name"] == "digits · sweep, by label budget" and view.name == "digits · sweep"
            and envelope["createdAt"] == envelope["updatedAt"] > 1.7e12)
    assert state["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": key}
                                               for key in ("labels", "gan.weight")]
    assert {(chart["type"], chart["metricKey"]) for chart in state["compareRunCharts"]} == {
        (kind, metrics[0]) for _, kind, metrics in BUDGETS}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == {
        section["uuid"] for section in state["compareRunSections"]}
    assert {"params.`labels`", "params.`seed`", f"metrics.`{PERCENT}`", "params.`gan.weight`",
            "attributes.`Duration`"} <= set(state["selectedColumns"])
    assert (state["columnOrder"] == list(state["columnWidths"])
            and len(state["columnOrder"]) == len(state["selectedColumns"]))
    found = fresh.client().search_runs([fresh.experiment_id], state["searchFilter"],
                                       order_by=[f"{state['orderByKey']} ASC"])
    assert {run.info.run_id for run in found} == set(ids)
    assert [int(run.data.params["labels"]) for run in found] == [20, 20, 50, 50, 100, 100, 200, 200]  # not as texts


@pytest.mark.parametrize(
    ("grid", "by"), [((), ["dataset"]), (("gan.weight", "train.batch"), ["gan.weight", "train.batch"])], ids=str)
def test_the_curve_has_a_group_for_each_setting_and_labels_as_its_steps(fresh, make, grid, by):
    run_id, *_ = swept(make, fresh, {20: (0.2, 0.1)})
    save_view(fresh, SWEEP, "digits · sweep", grid)
    _, state = saved(fresh, f"ssgan-{SWEEP}-curve")
    assert [key["groupByData"] for key in state["groupBy"]["groupByKeys"]] == by
    for chart in state["compareRunCharts"]:
        for metric in chart["selectedMetricKeys"]:
            assert [value.step for value in fresh.client().get_metric_history(run_id, metric)] == [20]


def test_the_addresses_name_the_views_and_the_plain_search(fresh, make):
    ids = swept(make, fresh, {20: (0.2, 0.1)})
    view = save_view(fresh, SWEEP, "x")
    for address, key, mode in ((view.budgets, f"ssgan-{SWEEP}", ["CHART"]),
                               (view.curve, f"ssgan-{SWEEP}-curve", ["CHART"]), (view.table, f"ssgan-{SWEEP}", None)):
        path, _, query = address.partition("?")
        assert path == f"/#/experiments/{fresh.experiment_id}/runs" and parse_qs(query)["viewStateShareKey"] == [key]
        assert parse_qs(query).get("compareRunsMode") == mode
    query = parse_qs(plain_path(fresh.experiment_id, SWEEP).partition("?")[2])
    order = f"{query['orderByKey'][0]} {'ASC' if query['orderByAsc'] == ['true'] else 'DESC'}"
    found = fresh.client().search_runs([fresh.experiment_id], query["searchFilter"][0], order_by=[order])
    assert [run.info.run_id for run in found] == ids[::-1] and view.plain == plain_path(fresh.experiment_id, SWEEP)


def test_the_latest_sweep_is_found_and_there_may_be_none(fresh, make):
    fresh.client()
    assert latest_sweep(fresh) is None
    swept(make, fresh, {20: (0.2,)})
    swept(make, fresh, {50: (0.1,)}, sweep="abcdef0123456789", at=1_700_000_500.0)
    assert latest_sweep(fresh) == (SWEEP, "digits · sweep", ["gan.weight", "train.batch"])


def test_the_error_is_held_against_the_scores_run_by_run(fresh, make):
    swept(make, fresh, {20: (0.2, 0.1)})
    view = save_view(fresh, SWEEP, "digits · sweep")
    envelope, state = saved(fresh, f"ssgan-{SWEEP}-scores")
    assert envelope["name"] == "digits · sweep, error and score" and state["groupBy"] is None
    points = [chart for chart in state["compareRunCharts"] if chart["type"] == "SCATTER"]
    assert [(chart["xaxis"], chart["yaxis"]) for chart in points] == [
        ({"key": name, "type": "METRIC"}, {"key": PERCENT, "type": "METRIC"}) for name in (SCORE, DISTANCE)]
    assert parse_qs(view.pages["error and score"].partition("?")[2])["viewStateShareKey"] == [f"ssgan-{SWEEP}-scores"]
    assert any(chart["metricKey"].startswith("while_training/") for chart in state["compareRunCharts"])


def ablated(make, store, at):
    """Delivers the runs of an ablation and its summary; the ids of the runs."""
    ids = []
    for row, error in (("digits", 0.1), ("digits without gan", 0.2)):
        folder = make(row.replace(" ", "-"), name=f"{row} · 20 labels · seed 0", status="FINISHED",
                      tags={"ssgan.ablate": f"fedc {ABLATION}"},
                      params={"dataset": "digits", "recipe": row, "labels": 20, "seed": 0})
        folder.measure(300, {"test/error": error, "score/inception_score": 4.0, "score/fid": 9.0})
        folder.measure(20, {"by_labels/labels": 20, "by_labels/error_percent": 100 * error})
        folder.flush()
        ids.append(deliver(folder, store))
    deliver(make(ABLATION, name="digits · ablate", kind="ablation-summary", status="FINISHED", lines=0, created=at,
                 tags={"ssgan.ablate": ABLATION, "ssgan.kind": "ablation-summary"}), store)
    return ids


def test_an_ablations_view_groups_its_runs_by_row_and_the_later_of_it_and_a_sweep_is_shown(fresh, make):
    fresh.client()
    assert latest_ablation(fresh) is None
    ids = ablated(make, fresh, 1_700_000_950.0)
    assert latest_ablation(fresh) == (ABLATION, "digits · ablate")
    swept(make, fresh, {20: (0.2,)}, at=1_700_000_900.0)
    assert latest_ablation(fresh) == (ABLATION, "digits · ablate")
    view = save_ablation_view(fresh, ABLATION, "digits · ablate")
    envelope, state = saved(fresh, f"ssgan-{ABLATION}")
    assert envelope["name"] == "digits · ablate, row by row" and list(view.pages)[0] == "row by row"
    assert state["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "recipe"}]
    assert {(chart["type"], chart["metricKey"]) for chart in state["compareRunCharts"]} == {
        (kind, metrics[0]) for _, kind, metrics in ROWS}
    assert "params.`recipe`" in state["selectedColumns"] and f"metrics.`{PERCENT}`" in state["selectedColumns"]
    assert len(state["columnOrder"]) == len(state["selectedColumns"])
    found = fresh.client().search_runs([fresh.experiment_id], state["searchFilter"])
    assert {run.info.run_id for run in found} == set(ids)
    metrics = {name for run in found for name in run.data.metrics}
    assert {name for _, _, (name,) in ROWS} <= metrics | {"stage/train/seconds"}
    swept(make, fresh, {50: (0.1,)}, sweep="abcdef0123456789", at=1_700_001_000.0)
    assert latest_ablation(fresh) is None


def test_a_store_that_fails_is_undelivered(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Undelivered):
        save_view(Store("http://127.0.0.1:9"), SWEEP, "x")


def test_stored_runs_are_read_with_their_files_and_nothing_is_made(fresh, make, tmp_path):
    ids = swept(make, fresh, {20: (0.2, 0.1)})
    unfinished = deliver(make("running"), fresh)
    (tmp_path / "downloads").mkdir()
    runs = {run.run_id: run for run in stored_runs(fresh, tmp_path / "downloads")}
    assert set(ids) < set(runs) and unfinished not in runs
    run = runs[ids[0]]
    assert (run.name, run.status, run.params["labels"], run.metrics["test/error"]) == (
        "digits · 20 labels · seed 0", "FINISHED", "20", 0.2)
    here = run.fetch("train/samples*.png")
    assert here.read_bytes() == b"picture" and run.fetch("train/none*.png") is None
    shutil.rmtree(here.parent.parent)  # the work folder is elsewhere
    fetched = run.fetch("train/samples*.png")
    assert fetched.read_bytes() == b"picture" and fetched.is_relative_to(tmp_path / "downloads" / ids[0])


@pytest.mark.slow
def test_a_browser_shows_the_budgets_and_their_errors(fresh, make):
    swept(make, fresh)
    view = save_view(fresh, SWEEP, "digits · sweep")
    with _browsed(fresh) as (page, address):
        page.open(f"{address}{view.budgets}")
        means = [f"{100 * sum(found) / len(found):.2f}" for found in ERRORS.values()]
        text = page.wait_for(*(f"Group: {labels}" for labels in ERRORS), BUDGETS[0][0],
                             *(metrics[0] for _, _, metrics in BUDGETS[:4]), *means)
        assert "8 matching runs" in text and "digits · 200 labels · seed 1" in text
        assert [line for line in text.splitlines() if line.startswith("Group: ")] == [
            f"Group: {labels}" for labels in ERRORS]
        page.open(f"{address}{view.curve}")
        page.wait_for("Group: digits", CURVE[0][0], *(metrics[0] for _, _, metrics in CURVE), f"digits ({PERCENT})",
                      f"digits ({ALONE})", "8 matching runs")
        page.open(f"{address}{view.table}")
        page.wait_for("Group: 200", "labels", "seed", PERCENT, ALONE, NO_GENERATOR, "17.11", "51.33",
                      "8 matching runs")
        page.open(f"{address}{view.plain}")
        page.wait_for("digits · 20 labels · seed 0", "digits · 200 labels · seed 1", "8 matching runs")


@pytest.mark.slow
def test_a_browser_shows_the_rows_of_an_ablation(fresh, make):
    ablated(make, fresh, 1_700_000_950.0)
    view = save_ablation_view(fresh, ABLATION, "digits · ablate")
    with _browsed(fresh) as (page, address):
        page.open(f"{address}{view.pages['row by row']}")
        page.wait_for("Group: digits", "Group: digits without gan", ROWS[0][0], *(name for _, _, (name,) in ROWS[:3]),
                      "2 matching runs")
        page.open(f"{address}{view.pages['error and score']}")
        page.wait_for(SCORES[0][0], f"{SCORE} vs. {PERCENT}", f"{DISTANCE} vs. {PERCENT}", "2 matching runs")
        page.open(f"{address}{view.table}")
        page.wait_for("Group: digits without gan", "recipe", PERCENT, "20", "2 matching runs")
        page.open(f"{address}{view.plain}")
        page.wait_for("digits without gan · 20 labels · seed 0", "2 matching runs")


@contextlib.contextmanager
def _browsed(store):
    """A browser's page, and the address of MLflow's UI on the store."""
    if browser.PROGRAM is None:
        (pytest.fail if os.environ.get("SSGAN_NEED_BROWSER") else pytest.skip)(
            "no chromium here: apt-get install chromium, then this test opens the views in it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = ui_command(store.uri, port)
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        _wait(port, server)
        with browser.Browser() as page:
            yield page, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _wait(port: int, server: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None and time.monotonic() < until, "the server did not start"
        time.sleep(0.2)


def test_of_a_view_that_could_not_be_saved_the_plain_address_alone_is_shown():
    whole = View("a sweep", "/#/charts", "/#/curve", "/#/table", "/#/plain")
    assert list(whole.pages.items()) == [("by label budget", "/#/charts"), ("the curve", "/#/curve"),
                                         ("as a table", "/#/table"), ("all by error", "/#/plain")]
    assert list(replace(whole, curve="").pages) == ["row by row", "as a table", "all by error"]
    assert View("a sweep", "", "", "", "/#/plain").pages == {"all by error": "/#/plain"}
