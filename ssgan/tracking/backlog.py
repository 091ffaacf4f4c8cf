"""What earlier runs left: work folders that wait for delivery, and runs whose process has died."""

import socket
from collections.abc import Callable
from pathlib import Path

from ssgan.errors import Mistake
from ssgan.tracking.delivery import deliver
from ssgan.tracking.receipt import delivered, delivered_to
from ssgan.tracking.store import Store, Undelivered, faults, public
from ssgan.tracking.workfolder import WorkFolder, process_start

Result = tuple[WorkFolder, str | None, str | None]  # the folder, its run's id, and why it still waits


def deliver_waiting(root: Path, store: Store, any_store: bool = False,
                    stop: Callable[[], bool] = lambda: False) -> list[Result]:
    """Delivers the folders under `root` that no process holds and that are not complete in the store.

    Folders whose run was meant for another store are left alone unless `any_store`. Returns what was tried.
    """
    results: list[Result] = []
    down = None
    for folder in WorkFolder.all(root):
        if stop():
            break
        try:
            if folder.locked() or not (any_store or _meant_for(folder, store)) or delivered(folder, store):
                continue
            results.append((folder, None, down) if down else (folder, deliver(folder, store), None))
        except Undelivered as undelivered:
            results.append((folder, None, str(undelivered)))
            down = str(undelivered) if undelivered.everywhere else None
        except Mistake as mistake:
            results.append((folder, None, str(mistake).splitlines()[0]))
    return results


def check_target(store: Store, root: Path) -> None:
    """Raises Mistake where runs cannot be brought to that store and never could, as with a mistyped address.

    One that some work folder under `root` was delivered to, and that is away now, costs nothing: the runs wait.
    """
    store.check()
    try:
        store.check_writable()
    except Mistake:
        if store.exists() or not any(delivered_to(folder, store) for folder in WorkFolder.all(root)):
            raise


def mark_dead(store: Store | None, root: Path) -> list[str]:
    """Makes KILLED of the runs of this machine that are RUNNING, though their process is gone; returns their names.

    Those under `root` are marked in their work folder, others in the store. Raises Undelivered when the store fails.
    """
    marked = [folder.facts.get("name", folder.fingerprint) for folder in WorkFolder.all(root) if folder.mark_dead()]
    if store is not None and store.exists():
        marked += _mark_dead_in(store)
    return marked


def _mark_dead_in(store: Store) -> list[str]:
    marked = []
    with faults(store):
        client = store.client()
        query = f"attributes.status = 'RUNNING' and tags.`ssgan.host` = '{socket.gethostname()}'"
        for run in client.search_runs([store.experiment_id], query, max_results=1000):
            folder = WorkFolder(Path(run.data.tags.get("ssgan.folder", "-")))
            if repr(folder.facts.get("created")) == run.data.tags.get("ssgan.created"):
                # Its work folder is still there and knows better than the process number.
                if folder.mark_dead():
                    marked.append(run.info.run_name)
                if not folder.locked() and not delivered(folder, store):
                    deliver(folder, store)
            elif not _alive(run.data.tags):
                client.set_terminated(run.info.run_id, "KILLED")
                marked.append(run.info.run_name)
    return marked


def _alive(tags: dict[str, str]) -> bool:
    pid = tags.get("ssgan.pid", "")
    start = process_start(int(pid)) if pid.isdigit() else None
    return start is not None and start == tags.get("ssgan.start")


def _meant_for(folder: WorkFolder, store: Store) -> bool:
    facts = folder.facts
    uri, experiment = facts.get("tracking_uri"), facts.get("experiment")
    return uri in (None, "none") or (public(uri), experiment or store.experiment) == (store.name, store.experiment)
