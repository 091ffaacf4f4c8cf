"""A sweep's saved view in MLflow's UI: budgets grouped, their errors as charts; and a plain address that filters and
sorts.
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
GAIN, GENERATOR, SCORE = "by_labels/gain_points", "by_labels/generator_gain_points", "score/inception_score"
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
CURVE: tuple[Chart, ...] = (
    ("Step = labels: mean and range of the seeds", "LINE", (PERCENT,)),
    ("Step = labels: mean and range of the seeds", "LINE", (PERCENT, ALONE)),
    ("Step = labels: mean and range of the seeds", "LINE", (GAIN,)),
    ("Step = labels: mean and range of the seeds", "LINE", (GENERATOR,)))


@dataclass(frozen=True)
class View:
    """Where a sweep is seen: paths behind the address of an MLflow UI; "" for what could not be saved."""

    name: str
    budgets: str  # the runs grouped by label budget, in charts
    curve: str  # the error over labels
    table: str  # the runs grouped by label budget, in columns
    plain: str  # what MLflow shows without a saved view


def save_view(store: Store, sweep: str, name: str, grid: Sequence[str] = ()) -> View:
    """Saves the views with the experiment; `grid` are params by which runs are grouped beside their budget. Raises
    Undelivered.

    MLflow does not document the form of a saved view: one that it no longer knows is passed over by it, and the plain
    address remains.
    """
    with faults(store):
        client = store.client()
        now = int(time.time() * 1000)
        for key, title, by, charts in ((sweep, "by label budget", ("labels", *grid), BUDGETS),
                                       (f"{sweep}-curve", "the curve", grid or ("dataset",), CURVE)):
            state = "deflate;" + base64.b64encode(zlib.compress(
                json.dumps(_state(sweep, by, charts, grid)).encode(), 9)).decode()
            envelope = {"name": f"{name}, {title}", "createdAt": now, "updatedAt": now, "state": state}
            client.set_experiment_tag(store.experiment_id, f"mlflow.sharedViewState.ssgan-{key}", json.dumps(envelope))
    table, chart = ({"workflowType": "machine_learning"} | mode for mode in ({}, {"compareRunsMode": "CHART"}))
    paths = [f"/#/experiments/{store.experiment_id}/runs?{urlencode(query | {'viewStateShareKey': f'ssgan-{key}'})}"
             for query, key in ((chart, sweep), (chart, f"{sweep}-curve"), (table, sweep))]
    return View(name, *paths, plain_path(store.experiment_id, sweep))


def unsaved_view(store: Store, sweep: str, name: str) -> View:
    """What is seen of a sweep in a store that may only be read. Raises Mistake and Undelivered."""
    _, experiment_id = store.reader()
    return View(name, "", "", "", plain_path(experiment_id, sweep))


def plain_path(experiment_id: str, sweep: str) -> str:
    """The runs of a sweep in MLflow's table, the lowest error first."""
    query = {"workflowType": "machine_learning", "searchFilter": _filter(sweep), "orderByKey": f"metrics.`{PERCENT}`",
             "orderByAsc": "true", "startTime": "ALL", "lifecycleFilter": "Active", "modelVersionFilter": "All Runs",
             "datasetsFilter": base64.b64encode(b"[]").decode()}
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def latest_sweep(store: Store) -> tuple[str, str, list[str]] | None:
    """Id, name and grid keys of the experiment's latest sweep; None where there is none. Raises Undelivered."""
    with faults(store):
        client, experiment_id = store.reader()
        found = client.search_runs([experiment_id], "tags.`ssgan.kind` = 'summary'", max_results=1,
                                   order_by=["attributes.start_time DESC"])
        if not found:
            return None
        grid = [part.partition("=")[0].strip() for part in found[0].data.params.get("grid", "").split(";")
                if part.strip()]
        return found[0].data.tags["ssgan.sweep"], found[0].info.run_name, grid


def _filter(sweep: str) -> str:
    """The evaluated runs of a sweep, without its summary."""
    return f"tags.`ssgan.sweep` LIKE '%{sweep}%' AND metrics.`{ERROR}` >= 0"


def _state(sweep: str, by: Sequence[str], charts: Sequence[Chart], grid: Sequence[str]) -> dict[str, Any]:
    """The search and the page's state, as MLflow 3.17 keeps them; `by` are the params of the groups."""
    columns = COLUMNS | {f"params.`{key}`": 120 for key in grid}
    widths = {column.replace("attributes.`Duration`", "duration"): width for column, width in columns.items()}
    return {
        "searchFilter": _filter(sweep), "orderByKey": f"metrics.`{LABELS}`", "orderByAsc": True, "startTime": "ALL",
        "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": [],
        "selectedColumns": list(columns), "columnOrder": list(widths), "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL", "groupBy": {"aggregateFunction": "average",
                                                  "groupByKeys": [{"mode": "param", "groupByData": key} for key in by]},
                                                  "useGroupedValuesInCharts": True, "groupsExpanded": {},
                                                  "runListHidden": False, "hideEmptyCharts": True,
                                                  "isAccordionReordered": True,
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
    return chart


def _key(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
