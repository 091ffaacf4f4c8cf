"""The saved view of a sweep, or of an ablation, in MLflow's UI: budgets or rows grouped, their errors as charts; and a
plain address that filters and sorts.
"""

import base64
import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ssgan.tracking.store import Store, faults

ERROR = "test/error"
PERCENT, ALONE = "by_labels/error_percent", "by_labels/supervised_only_percent"
NO_GENERATOR = "by_labels/no_generator_percent"
DISTANCE, TRAINING = "score/fid", "stage/train/seconds"
GAIN, GENERATOR, SCORE = "by_labels/gain_points", "by_labels/generator_gain_points", "score/inception_score"
WHILE_SCORE, WHILE_DISTANCE = "while_training/inception_score", "while_training/fid"
LABELS = "by_labels/labels"  # the budget as a metric, because params are sorted as texts
COLUMNS = {  # and their width; MLflow has another name for the width of the last
    "params.`labels`": 65, "params.`seed`": 60, f"metrics.`{PERCENT}`": 160, f"metrics.`{ALONE}`": 235,
    f"metrics.`{NO_GENERATOR}`": 220, f"metrics.`{SCORE}`": 150, "attributes.`Duration`": 80}
Chart = tuple[str, str, tuple[str, ...]]  # section, type, metrics
# MLflow shows metrics' names as the titles of charts. Its logarithmic axes have illegible numbers and cut off a part of
# the band.
BUDGETS: tuple[Chart, ...] = (
    ("Each label budget: mean of its seeds", "BAR", (PERCENT,)),
    ("Each label budget: mean of its seeds", "BAR", (GAIN,)),
    ("Each label budget: mean of its seeds", "BAR", (GENERATOR,)),
    ("Each label budget: mean of its seeds", "BAR", (SCORE,)),
    ("Over training steps: mean and range", "LINE", ("val/error",)),
    ("Over training steps: mean and range", "LINE", ("train/labelled_error",)))
# The paper's tension: the generator of a good classifier need not draw well.
SCORES: tuple[Chart, ...] = (
    ("Error against score: a point for each run", "SCATTER", (SCORE, PERCENT)),
    ("Error against score: a point for each run", "SCATTER", (DISTANCE, PERCENT)),
    ("Scores while training", "LINE", (WHILE_SCORE,)), ("Scores while training", "LINE", (WHILE_DISTANCE,)))
CURVE: tuple[Chart, ...] = (
    ("Step = labels: mean and range of the seeds", "LINE", (PERCENT,)),
    ("Step = labels: mean and range of the seeds", "LINE", (PERCENT, ALONE)),
    ("Step = labels: mean and range of the seeds", "LINE", (GAIN,)),
    ("Step = labels: mean and range of the seeds", "LINE", (GENERATOR,)))
ROWS: tuple[Chart, ...] = (
    ("Each row: mean of its seeds", "BAR", (PERCENT,)), ("Each row: mean of its seeds", "BAR", (SCORE,)),
    ("Each row: mean of its seeds", "BAR", (DISTANCE,)), ("Each row: mean of its seeds", "BAR", (TRAINING,)))
SWEEP_TAG, ABLATION_TAG = "ssgan.sweep", "ssgan.ablate"  # of runs, with the ids of what they belong to


@dataclass(frozen=True)
class View:
    """Where a sweep, or an ablation, is seen: paths behind the address of an MLflow UI; "" for what could not be saved.
    """

    name: str
    budgets: str  # the runs grouped by label budget, or by row, in charts
    curve: str  # the error over labels; empty for an ablation
    table: str  # the runs grouped so, in columns
    plain: str  # what MLflow shows without a saved view
    scores: str = ""  # the error against the scores, run by run

    @property
    def pages(self) -> dict[str, str]:
        """The addresses of what is saved, by what is to be seen there, the first one first."""
        found = {"by label budget" if self.curve else "row by row": self.budgets, "the curve": self.curve,
                 "error and score": self.scores, "as a table": self.table, "all by error": self.plain}
        return {title: path for title, path in found.items() if path}


def save_view(store: Store, sweep: str, name: str, grid: Sequence[str] = ()) -> View:
    """Saves the views with the experiment; `grid` are params by which runs are grouped beside their budget. Raises
    Undelivered.

    MLflow does not document the form of a saved view: one that it no longer knows is passed over by it, and the plain
    address remains.
    """
    with faults(store):
        client = store.client()
        columns = COLUMNS | {f"params.`{key}`": 120 for key in grid}
        for key, title, by, charts in ((sweep, "by label budget", ("labels", *grid), BUDGETS),
                                       (f"{sweep}-curve", "the curve", grid or ("dataset",), CURVE)):
            _save(client, store, key, f"{name}, {title}", _state(_filter(sweep), LABELS, by, charts, columns))
        _save(client, store, f"{sweep}-scores", f"{name}, error and score",
              _state(_filter(sweep), LABELS, (), SCORES, columns))
    return View(name, _chart_path(store, sweep), _chart_path(store, f"{sweep}-curve"), _table_path(store, sweep),
                plain_path(store.experiment_id, sweep), _chart_path(store, f"{sweep}-scores"))


def unsaved_view(store: Store, key: str, name: str, tag: str) -> View:
    """What is seen of a sweep, or of what has its id in that tag, in a store that may only be read. Raises Mistake and
    Undelivered.
    """
    _, experiment_id = store.reader()
    return View(name, "", "", "", plain_path(experiment_id, key, tag))


def save_ablation_view(store: Store, ablation: str, name: str) -> View:
    """The same of an ablation, whose rows are told apart by the names that its runs have for their recipe. Raises
    Undelivered.
    """
    columns = {"params.`recipe`": 260} | {column: width for column, width in COLUMNS.items()
                                          if column.endswith((f"`{SCORE}`", f"`{PERCENT}`", "`seed`", "`Duration`"))}
    columns |= {f"metrics.`{DISTANCE}`": 160, f"metrics.`{TRAINING}`": 150}
    with faults(store):
        _save(store.client(), store, ablation, f"{name}, row by row",
              _state(_filter(ablation, ABLATION_TAG), PERCENT, ("recipe",), ROWS, columns))
        _save(store.client(), store, f"{ablation}-scores", f"{name}, error and score",
              _state(_filter(ablation, ABLATION_TAG), PERCENT, (), SCORES, columns))
    return View(name, _chart_path(store, ablation), "", _table_path(store, ablation),
                plain_path(store.experiment_id, ablation, ABLATION_TAG), _chart_path(store, f"{ablation}-scores"))


def _save(client, store: Store, key: str, title: str, state: dict[str, Any]) -> None:
    now = int(time.time() * 1000)
    packed = "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    envelope = {"name": title, "createdAt": now, "updatedAt": now, "state": packed}
    client.set_experiment_tag(store.experiment_id, f"mlflow.sharedViewState.ssgan-{key}", json.dumps(envelope))


def _chart_path(store: Store, key: str) -> str:
    return _table_path(store, key, {"compareRunsMode": "CHART"})


def _table_path(store: Store, key: str, mode: dict[str, str] = {}) -> str:
    query = {"workflowType": "machine_learning"} | mode | {"viewStateShareKey": f"ssgan-{key}"}
    return f"/#/experiments/{store.experiment_id}/runs?{urlencode(query)}"


def plain_path(experiment_id: str, sweep: str, tag: str = SWEEP_TAG) -> str:
    """The runs of a sweep, or of what else has its id in that tag, in MLflow's table, the lowest error first."""
    query = {"workflowType": "machine_learning", "searchFilter": _filter(sweep, tag),
             "orderByKey": f"metrics.`{PERCENT}`", "orderByAsc": "true", "startTime": "ALL",
             "lifecycleFilter": "Active", "modelVersionFilter": "All Runs",
             "datasetsFilter": base64.b64encode(b"[]").decode()}
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def latest_sweep(store: Store) -> tuple[str, str, list[str]] | None:
    """Id, name and grid keys of the experiment's latest sweep; None where there is none. Raises Undelivered."""
    found = _latest(store, "summary")
    if found is None:
        return None
    grid = [part.partition("=")[0].strip() for part in found.data.params.get("grid", "").split(";") if part.strip()]
    return found.data.tags[SWEEP_TAG], found.info.run_name, grid


def latest_ablation(store: Store) -> tuple[str, str] | None:
    """Id and name of the experiment's latest ablation; None where there is none, or a later sweep. Raises Undelivered.
    """
    found, sweep = _latest(store, "ablation-summary"), _latest(store, "summary")
    if found is None or sweep is not None and sweep.info.start_time > found.info.start_time:
        return None
    return found.data.tags[ABLATION_TAG], found.info.run_name


def _latest(store: Store, kind: str):
    """MLflow's latest run of that kind, or None. Raises Undelivered."""
    with faults(store):
        client, experiment_id = store.reader()
        found = client.search_runs([experiment_id], f"tags.`ssgan.kind` = '{kind}'", max_results=1,
                                   order_by=["attributes.start_time DESC"])
    return found[0] if found else None


def _filter(sweep: str, tag: str = SWEEP_TAG) -> str:
    """The evaluated runs of a sweep, without its summary."""
    return f"tags.`{tag}` LIKE '%{sweep}%' AND metrics.`{ERROR}` >= 0"


def _state(search: str, order: str, by: Sequence[str], charts: Sequence[Chart],
           columns: dict[str, int]) -> dict[str, Any]:
    """The search and the page's state, as MLflow 3.17 keeps them; `by` are the params of the groups, of which there may
    be none, `order` is the metric that sorts.
    """
    keys = [{"mode": "param", "groupByData": key} for key in by]
    groups = {"aggregateFunction": "average", "groupByKeys": keys} if keys else None
    widths = {column.replace("attributes.`Duration`", "duration"): width for column, width in columns.items()}
    return {
        "searchFilter": search, "orderByKey": f"metrics.`{order}`", "orderByAsc": True, "startTime": "ALL",
        "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": [],
        "selectedColumns": list(columns), "columnOrder": list(widths), "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL", "groupBy": groups, "useGroupedValuesInCharts": True, "groupsExpanded": {},
        "runListHidden": False, "hideEmptyCharts": True, "isAccordionReordered": True,
        "autoRefreshEnabled": True,
        "compareRunSections": [{"uuid": _key(name), "name": name, "display": True, "isReordered": True,
                                "deleted": False, "isGenerated": False, "columns": 2, "cardHeight": 300}
                                for name in dict.fromkeys(section for section, *_ in charts)],
        "compareRunCharts": [_chart(*chart) for chart in charts]}


def _chart(section: str, kind: str, metrics: tuple[str, ...]) -> dict[str, Any]:
    chart = {"uuid": _key(f"{kind}{metrics}"), "type": kind, "metricKey": metrics[0], "metricSectionId": _key(section),
             "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    if kind == "LINE":
        chart |= {"selectedMetricKeys": list(metrics), "xAxisKey": "step", "lineSmoothness": 0, "scaleType": "linear",
                  "xAxisScaleType": "linear"}
    if kind == "SCATTER":
        chart |= {f"{axis}axis": {"key": metric, "type": "METRIC"} for axis, metric in zip("xy", metrics)}
    return chart


def _key(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
