"""Every key's default, frozen in a table, so that none changes unseen. `python tests/frozen_defaults.py` writes it."""

import json
import sys
from pathlib import Path
from typing import Any

from ssgan import config
from ssgan.experiments.identity import FIRST_KEYS
from ssgan.settings import flatten

TABLE = Path(__file__).with_suffix(".json")
COMMAND = "python tests/frozen_defaults.py"
FIRST = [prefix + name for prefix, names in FIRST_KEYS.items() for name in names.split()]

Table = dict[str, Any]  # "schema"; "defaults"; "came_with": the defaults with which keys came that schema 1 had not


def now() -> Table:
    """The table as it would be written now, were every key new."""
    defaults, first = flatten(config.Recipe()), {config.RENAMED.get(key, key) for key in FIRST}
    later = {key: value for key, value in defaults.items() if key not in first}
    return {"schema": config.SCHEMA, "defaults": defaults, "came_with": later}


def broken(frozen: Table, found: Table, unsaid: dict[str, Any]) -> list[str]:
    """What must be mended in config.py: runs would be taken for others."""
    faults = []
    for key, default in frozen["defaults"].items():
        key = config.RENAMED.get(key, key)
        value = found["defaults"].get(key, "no more")
        if found["schema"] == frozen["schema"] and _text(value) != _text(default):
            faults.append(
                f"the default of {key} was {default!r} and is {value!r}: fingerprints leave defaults out, so runs of "
                f"both would have one name. Raise SCHEMA in ssgan/config.py and write the table anew: {COMMAND}")
    for key, first in frozen["came_with"].items():
        key = config.RENAMED.get(key, key)
        if key in unsaid and _text(unsaid[key]) != _text(first):
            faults.append(
                f"{key} was {first!r} in runs from before it was there: say so with {key!r}: {first!r} in WAS of "
                f"ssgan/config.py")
    return faults


def outdated(frozen: Table, found: Table) -> list[str]:
    """What the table lacks."""
    new = [key for key in found["defaults"] if key not in frozen["defaults"]]
    faults = [f"the table has no {', '.join(new)}: add by {COMMAND}. New keys need no new schema."] if new else []
    gone = [key for key in frozen["defaults"] if key not in found["defaults"]]
    if found["schema"] != frozen["schema"] or gone:
        faults.append(f"the table is of schema {frozen['schema']}, or has keys that are gone: write it anew: {COMMAND}")
    return faults


def merged(frozen: Table, found: Table) -> Table:
    """The new table, in which what keys came with stays."""
    came = {config.RENAMED.get(key, key): value for key, value in frozen["came_with"].items()}
    return found | {"came_with": {key: came.get(key, value) for key, value in found["came_with"].items()}}


def read() -> Table:
    """The table that is committed."""
    return json.loads(TABLE.read_text())


def _text(value: Any) -> str:
    return json.dumps(value)


if __name__ == "__main__":
    before = read() if TABLE.exists() else now()
    if faults := broken(before, now(), config.unsaid()):
        sys.exit("\n".join(faults))
    TABLE.write_text(json.dumps(merged(before, now()), indent=1) + "\n")
