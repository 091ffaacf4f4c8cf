"""ssgan: a classifier from very few labels, by semi-supervised GANs.

The names below are what a notebook needs; each is imported when it is first used.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "Mistake": "ssgan.errors",
    "Failed": "ssgan.errors",
    "SSGANClassifier": "ssgan.estimator",
    "load_data": "ssgan.api",
    "read_recipe": "ssgan.api",
    "make_split": "ssgan.api",
    "train": "ssgan.api",
    "evaluate": "ssgan.api",
    "score": "ssgan.api",
    "export_model": "ssgan.api",
    "load_run": "ssgan.api",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
