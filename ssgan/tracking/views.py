"""A sweep's saved view in MLflow's UI: budgets grouped, their errors as charts; and a plain address that filters and sorts."""

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
PERCENT, GAIN, GENERATOR, SCORE = "test/error_percent", "test/gain_points", "test/gain_from_generator_points", "score/inception_score"
BASELINES = ("test/supervised_only_error", "test/no_generator_error")
COLUMNS = ("params.`labels`", "params.`seed`", *(f"metrics.`{name}`" for name in (ERROR, *BASELINES, SCORE)), "attributes.`Duration`")
CHARTS = (  # section, type, metric, title
    ("Test error by label budget", "BAR", PERCENT, "Test error in %, mean of each label budget"),
    ("Test error by label budget", "SCATTER", PERCENT, "Test error in % over labels"),
    ("Test error by label budget", "BAR", SCORE, "Inception Score"),
    ("What helps", "BAR", GAIN, "Gain in points over the same network on the labels alone"),
    ("What helps", "BAR", GENERATOR, "Gain in points from the generator"),
    ("Over steps: mean and range of each budget", "LINE", "val/error", "Validation error"),
    ("Over steps: mean and range of each budget", "LINE", "train/labelled_error", "Error on the labelled images, noise on"))


@dataclass(frozen=True)
class View:
    """Where a sweep is seen: paths behind the address of an MLflow UI."""

    name: str
    saved: str
    plain: str


def save_view(store: Store, sweep: str, name: str, grid: Sequence[str] = ()) -> View:
    """Saves the view with the experiment; `grid` are params by which runs are grouped beside their budget. Raises Undelivered.

    MLflow does not document the form of a saved view: one that it no longer knows is passed over by it, and the plain address remains.
    """
    with faults(store):
        client = store.client()
        key = f"ssgan-{sweep}"
        now = int(time.time() * 1000)
        state = "deflate;" + base64.b64encode(zlib.compress(json.dumps(_state(sweep, grid)).encode(), 9)).decode()
        envelope = {"name": name, "createdAt": now, "updatedAt": now, "state": state}
        client.set_experiment_tag(store.experiment_id, f"mlflow.sharedViewState.{key}", json.dumps(envelope))
    query = urlencode({"workflowType": "machine_learning", "compareRunsMode": "CHART", "viewStateShareKey": key})
    return View(name, f"/#/experiments/{store.experiment_id}/runs?{query}", plain_path(store.experiment_id, sweep))


def plain_path(experiment_id: str, sweep: str) -> str:
    """The runs of a sweep in MLflow's table, the lowest error first."""
    query = {"workflowType": "machine_learning", "searchFilter": _filter(sweep), "orderByKey": f"metrics.`{PERCENT}`", "orderByAsc": "true",
             "startTime": "ALL", "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": base64.b64encode(b"[]").decode()}
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def latest_sweep(store: Store) -> tuple[str, str, list[str]] | None:
    """Id, name and grid keys of the experiment's latest sweep; None where there is none. Raises Undelivered."""
    with faults(store):
        client = store.client()
        found = client.search_runs([store.experiment_id], "tags.`ssgan.kind` = 'summary'", max_results=1, order_by=["attributes.start_time DESC"])
        if not found:
            return None
        grid = [part.partition("=")[0].strip() for part in found[0].data.params.get("grid", "").split(";") if part.strip()]
        return found[0].data.tags["ssgan.sweep"], found[0].info.run_name, grid


def _filter(sweep: str) -> str:
    """The evaluated runs of a sweep, without its summary."""
    return f"tags.`ssgan.sweep` LIKE '%{sweep}%' AND metrics.`{ERROR}` >= 0"


def _state(sweep: str, grid: Sequence[str]) -> dict[str, Any]:
    """The search and the page's state, as MLflow 3.17 keeps them."""
    sections = list(dict.fromkeys(section for section, *_ in CHARTS))
    groups = [{"mode": "param", "groupByData": key} for key in ("labels", *grid)]
    return {
        "searchFilter": _filter(sweep), "orderByKey": "attributes.start_time", "orderByAsc": True, "startTime": "ALL", "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs", "datasetsFilter": [], "selectedColumns": [*COLUMNS, *(f"params.`{key}`" for key in grid)],
        "columnWidths": {column: 180 for column in COLUMNS if column.startswith("metrics")}, "runsHiddenMode": "SHOW_ALL", "groupBy": {"aggregateFunction": "average", "groupByKeys": groups}, "useGroupedValuesInCharts": True,
        "groupsExpanded": {}, "runListHidden": False, "hideEmptyCharts": True, "isAccordionReordered": True, "autoRefreshEnabled": True,
        "compareRunSections": [{"uuid": _key(name), "name": name, "display": True, "isReordered": True, "deleted": False, "isGenerated": False,
                                "columns": 3, "cardHeight": 300} for name in sections],
        "compareRunCharts": [_chart(*chart) for chart in CHARTS]}


def _chart(section: str, kind: str, metric: str, title: str) -> dict[str, Any]:
    chart = {"uuid": _key(f"{kind}{metric}"), "type": kind, "metricKey": metric, "displayName": title, "metricSectionId": _key(section), "deleted": False,
             "isGenerated": False, "runsCountToCompare": 100}
    if kind == "LINE":
        chart |= {"selectedMetricKeys": [metric], "xAxisKey": "step", "lineSmoothness": 0, "scaleType": "linear", "xAxisScaleType": "linear"}
    if kind == "SCATTER":
        chart |= {"xaxis": {"key": "labels", "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return chart


def _key(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
