"""Processes of the package's own modules, which are told what to do in JSON lines on stdin and answer likewise on stdout."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def begin(module: str, threads: int | None = None) -> subprocess.Popen:
    """`python -m module` in a session of its own: Ctrl-C is for the parent, who then asks the child to stop.

    It takes so many threads, where the person has said nothing of them.
    """
    home = str(Path(__file__).parents[2])
    said = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    environment = said | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-m", module], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


def tell(process: subprocess.Popen, message: dict[str, Any]) -> None:
    """Sends a message; one that has died is found by who reads its answers."""
    try:
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass
