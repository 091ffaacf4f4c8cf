"""The command that starts MLflow's UI on a store."""

import os
import sys

from ssgan.errors import Mistake
from ssgan.tracking.store import Store


def ui_command(uri: str | None, port: int = 5000) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of an MLflow server on 127.0.0.1; `uri` as `resolve_uri` gives it. Raises Mistake."""
    if uri is None:
        raise Mistake("--tracking-uri none: there is no store to look at.\nType ssgan deliver, then ssgan ui, both "
                      "without it.")
    store = Store(uri)
    if store.database is None:
        raise Mistake(f"{store.name} is an MLflow server already: open that address in a browser.")
    if not store.exists():
        raise Mistake(f"there is no store at {store.database} yet.\nMake a run first: ssgan run --dataset digits "
                      f"--labels 100")
    store.check()
    store.follow_move()
    # One worker and no job runners: ready in half the time, with half the memory.
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--default-artifact-root",
                 str(store.artifact_root)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, *arguments], environment
