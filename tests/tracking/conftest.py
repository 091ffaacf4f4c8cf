"""A real store, shared because making one takes seconds, and work folders as a run leaves them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssgan.tracking import Store
from ssgan.tracking.workfolder import WorkFolder

OPEN = """
import sys
from ssgan.tracking import Store
store = Store(sys.argv[1])
store.client()
print(store.experiment_id, store.client().get_experiment(store.experiment_id).artifact_location)
"""


@pytest.fixture(scope="session")
def making(tmp_path_factory) -> SimpleNamespace:
    """An SQLite store made by two processes at once, and what they said."""
    path = tmp_path_factory.mktemp("store") / "runs and #1" / "mlflow.db"
    outputs = [process.communicate() for process in [start_opening(path), start_opening(path)]]
    return SimpleNamespace(path=path, outputs=outputs, files=sorted(found.name for found in path.parent.iterdir()))


@pytest.fixture(scope="session")
def template(making) -> Path:
    """An SQLite store with nothing in it."""
    return making.path


@pytest.fixture(scope="session")
def opening() -> Callable[[Path], subprocess.Popen]:
    """Starts a process that opens a store, and makes it if need be."""
    return start_opening


@pytest.fixture(scope="module")
def store(tmp_path_factory, template) -> Store:
    """A store of the module's own, opened."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    path.write_bytes(template.read_bytes())
    opened = Store(f"sqlite:///{path}", experiment="tests")
    opened.client()
    return opened


@pytest.fixture
def make(tmp_path) -> Callable[..., WorkFolder]:
    """Makes the work folder of a run with every kind of content."""

    def _make(fingerprint: str, lines: int = 3, root: Path = tmp_path / "work", **facts) -> WorkFolder:
        folder = WorkFolder.create(root, fingerprint)
        folder.update(**({
            "name": f"digits-100 {fingerprint}",
            "created": 1_700_000_000.125,
            "params": {"dataset": "digits", "labels": 100, "train.learning_rate": 0.003, "model.widths": [1000, 500],
                       "gan": True},
            "tags": {"ssgan.torch": "2.11", "mlflow.user": "somebody"},
            "inputs": {"name": "digits", "sha256": "ab" * 32, "source": "sklearn.datasets.load_digits"},
            "status": "RUNNING",
        } | facts))
        for step in range(lines):
            folder.measure(step * 100, {"train/loss": 1 / (step + 1), "train/rate": 0.003}, at=1_700_000_001 + step)
        folder.flush()
        (folder.stage_folder("train") / "samples.png").write_bytes(b"picture")
        (folder.stage_folder("split") / "deep").mkdir(exist_ok=True)
        (folder.path / "split" / "deep" / "split.npz").write_bytes(b"tables")
        (folder.path / "checkpoint.pt").write_bytes(b"not delivered")
        return folder

    return _make


@pytest.fixture
def content() -> Callable[[Store, str], SimpleNamespace]:
    """Reads a run back with a client of its own."""
    return _content


def start_opening(path: Path) -> subprocess.Popen:
    arguments = [sys.executable, "-c", OPEN, f"sqlite:///{path}"]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _content(store: Store, run_id: str) -> SimpleNamespace:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store.uri)
    run = client.get_run(run_id)
    return SimpleNamespace(
        params=run.data.params,
        tags=run.data.tags,
        metrics={name: _history(client, run_id, name) for name in run.data.metrics},
        inputs=[(entry.dataset.name, entry.dataset.digest, entry.dataset.source)
                for entry in run.inputs.dataset_inputs],
        files=dict(_files(client, run_id, "")),
        status=run.info.status,
        name=run.info.run_name,
        start=run.info.start_time,
        end=run.info.end_time,
    )


def _history(client, run_id: str, name: str) -> list[tuple[int, int, float]]:
    return [(value.step, value.timestamp, value.value) for value in client.get_metric_history(run_id, name)]


def _files(client, run_id: str, folder: str):
    for entry in client.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from _files(client, run_id, entry.path)
        else:
            yield entry.path, Path(client.download_artifacts(run_id, entry.path)).read_bytes()
