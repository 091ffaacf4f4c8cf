"""`find_run`: the work folder that a RUN on the command line means, fetched from the store where it is not here."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ssgan.errors import Mistake
from ssgan.files import cache_folder
from ssgan.tracking.receipt import run_ids
from ssgan.tracking.store import Store, Undelivered, faults
from ssgan.tracking.workfolder import WorkFolder

if TYPE_CHECKING:
    from mlflow.entities import Run

LEAST_PREFIX = 4
# kinds that `latest` passes over: a sweep's or an ablation's report, and what tuning tries
NO_RESULTS = ("summary", "ablation-summary", "tune", "tune-summary")


def find_run(reference: str, root: Path, store: Store | None) -> WorkFolder:
    """The work folder of a run: by run id or fingerprint, a unique prefix of either, or `latest`.

    Looks under `root` first, then in the store, whose files go to the user's cache. Raises Mistake.
    """
    if reference != "latest" and len(reference) < LEAST_PREFIX:
        raise Mistake(f"RUN {reference!r} is too short: type `latest`, or at least {LEAST_PREFIX} characters of a run "
                      f"id.")
    folders = WorkFolder.all(root)
    found = _latest(folders) if reference == "latest" else _named(folders, reference)
    if len(found) > 1:
        raise _ambiguous(reference, [_describe(folder) for folder in found])
    if found:
        return found[0]
    if store is not None and store.exists():
        try:
            return _from_store(reference, store)
        except Undelivered as undelivered:
            raise Mistake(f"no run here is {reference!r}, and the store cannot be asked: "
                          f"{undelivered}.") from undelivered
    raise _missing(reference, [_describe(folder) for folder in folders])


def _latest(folders: list[WorkFolder]) -> list[WorkFolder]:
    runs = [folder for folder in folders if folder.facts.get("tags", {}).get("ssgan.kind") not in NO_RESULTS]
    return sorted(runs, key=lambda folder: folder.facts.get("created", 0))[-1:]


def _named(folders: list[WorkFolder], reference: str) -> list[WorkFolder]:
    names = [(folder, (folder.fingerprint, *run_ids(folder))) for folder in folders]
    exact = [folder for folder, own in names if reference in own]
    return exact or [folder for folder, own in names if any(name.startswith(reference) for name in own)]


def _describe(folder: WorkFolder) -> str:
    return f"{(run_ids(folder) or [folder.fingerprint])[0][:12]} ({folder.facts.get('name', 'unnamed')})"


def _from_store(reference: str, store: Store) -> WorkFolder:
    with faults(store):
        runs = _runs(store)
        newest = [run for run in runs if run.data.tags.get("ssgan.kind") not in NO_RESULTS][:1]
        found = newest if reference == "latest" else [run for run in runs if run.info.run_id.startswith(reference)]
        found = found or [run for run in runs if run.data.tags["ssgan.fingerprint"].startswith(reference)]
        described = [f"{run.info.run_id[:12]} ({run.info.run_name})" for run in found or runs]
        if len(found) == 1:
            return _fetch(found[0].info.run_id, found[0].data.tags["ssgan.fingerprint"], store)
    # Outside, for a Mistake in there would count as the store's fault.
    raise _ambiguous(reference, described) if found else _missing(reference, described)


def _runs(store: Store) -> "list[Run]":
    """Every run of the experiment that a work folder was delivered to, the newest first."""
    (client, experiment_id), runs, token = store.reader(), [], None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, order_by=["attributes.start_time DESC"],
                                  page_token=token)
        runs += [run for run in page if "ssgan.fingerprint" in run.data.tags]
        token = page.token
        if not token:
            return runs


def _fetch(run_id: str, fingerprint: str, store: Store) -> WorkFolder:
    home = cache_folder("runs", run_id)
    folder = WorkFolder(home / fingerprint)
    if folder.run_file.exists():
        return folder
    partial = home / f".{fingerprint}.{os.getpid()}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    client, _ = store.reader()
    client.download_artifacts(run_id, "", str(partial))
    if not (partial / "run.json").exists():
        shutil.rmtree(partial)
        raise Undelivered(f"run {run_id} has no run.json there: it has not ended, or its files are gone")
    shutil.rmtree(folder.path, ignore_errors=True)
    partial.rename(folder.path)
    return folder


def _ambiguous(reference: str, described: list[str]) -> Mistake:
    more = f" and {len(described) - 5} more" if len(described) > 5 else ""
    listed = ", ".join(described[:5]) + more
    return Mistake(f"RUN {reference!r} is the beginning of {len(described)} runs: {listed}.\nType more of the one you "
                   f"mean.")


def _missing(reference: str, described: list[str]) -> Mistake:
    if not described:
        return Mistake("there is no run yet, here or in the store.\nMake one first: ssgan run --dataset digits "
                       "--labels 100")
    more = f" and {len(described) - 5} more" if len(described) > 5 else ""
    listed = ", ".join(described[:5]) + more
    if reference == "latest":
        return Mistake(f"`latest` means a run by itself or of a sweep, and there is none yet, but for: {listed}.\nType "
                       f"the beginning of the id of the one you mean.")
    return Mistake(f"no run is called {reference!r}. There are: {listed}; or type `latest`.")
