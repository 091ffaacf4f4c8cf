"""`stored_runs`: the finished runs of an experiment, read from a store without changing it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ssgan.tracking.store import Store, faults


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run as the store has it; metrics are the last values."""

    run_id: str
    name: str
    status: str
    ended: float  # epoch seconds
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    images: int | None  # training images of its data set, if known
    fetch: Callable[[str], Path | None]  # an artifact by a pattern of its path: a file on this machine, or None


def stored_runs(store: Store, downloads: Path) -> list[StoredRun]:
    """Every finished run of the experiment, the oldest first; artifacts that are not on this machine come to
    `downloads`.

    Raises Mistake where there is no such store or experiment, and Undelivered.
    """
    client, experiment_id = store.reader()
    found, token = [], None
    with faults(store):
        while True:
            page = client.search_runs([experiment_id], "attributes.status = 'FINISHED'", max_results=1000,
                                      order_by=["attributes.start_time ASC"], page_token=token)
            found += [_run(client, store, run, downloads) for run in page]
            token = page.token
            if not token:
                return found


def _run(client, store: Store, run, downloads: Path) -> StoredRun:
    run_id, tags = run.info.run_id, run.data.tags
    return StoredRun(run_id, run.info.run_name, run.info.status, (run.info.end_time or 0) / 1000, dict(run.data.params),
                     dict(run.data.metrics), dict(tags), _images(run),
                     lambda pattern: _fetch(client, store, run_id, tags, pattern, downloads / run_id))


def _images(run) -> int | None:
    for entry in run.inputs.dataset_inputs if run.inputs else ():
        try:
            profile: Any = json.loads(entry.dataset.profile or "{}")
        except ValueError:  # another tool's
            continue
        if isinstance(profile, dict) and isinstance(profile.get("train"), int):
            return profile["train"]
    return None


def _fetch(client, store: Store, run_id: str, tags: dict[str, str], pattern: str, into: Path) -> Path | None:
    """From the work folder where it is here, else from the store. Raises Undelivered."""
    folder = Path(tags.get("ssgan.folder", "-"))
    here = max(folder.glob(pattern), default=None) if folder.is_absolute() else None
    if here is not None:
        return here
    with faults(store):
        parent = pattern.rpartition("/")[0]
        names = [entry.path for entry in client.list_artifacts(run_id, parent or None) if fnmatch(entry.path, pattern)]
        if not names:
            return None
        into.mkdir(exist_ok=True)
        return Path(client.download_artifacts(run_id, max(names), str(into)))
