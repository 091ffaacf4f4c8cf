"""The telling to MLflow: the work folder is the journal, a delivery is its replay.

No module here imports MLflow before a store is opened, so importing this package is cheap.
"""

from ssgan.tracking.backlog import check_target, deliver_waiting, mark_dead
from ssgan.tracking.delivery import deliver
from ssgan.tracking.delivery_thread import Delivery
from ssgan.tracking.environment import environment_tags
from ssgan.tracking.lookup import find_run
from ssgan.tracking.receipt import delivered, run_id, run_ids
from ssgan.tracking.store import EXPERIMENT, Store, Undelivered, public, resolve_uri
from ssgan.tracking.stored_run import StoredRun, stored_runs
from ssgan.tracking.ui import ui_command
from ssgan.tracking.views import (
    ABLATION_TAG,
    SWEEP_TAG,
    View,
    latest_ablation,
    latest_sweep,
    plain_path,
    save_ablation_view,
    save_view,
    unsaved_view,
)

__all__ = [
    "ABLATION_TAG",
    "EXPERIMENT",
    "SWEEP_TAG",
    "Delivery",
    "Store",
    "StoredRun",
    "Undelivered",
    "View",
    "check_target",
    "deliver",
    "deliver_waiting",
    "delivered",
    "environment_tags",
    "find_run",
    "latest_ablation",
    "latest_sweep",
    "mark_dead",
    "plain_path",
    "public",
    "resolve_uri",
    "run_id",
    "run_ids",
    "save_ablation_view",
    "save_view",
    "stored_runs",
    "ui_command",
    "unsaved_view",
]
