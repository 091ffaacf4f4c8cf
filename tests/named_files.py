"""Small made files of every named data set, in every form in which they may lie in the folder of data files."""

import bz2
import dataclasses
import functools
import gzip
import hashlib
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import torchvision.datasets

from ssgan.data import downloads, named
from ssgan.data.named import SOURCES

COUNTS = {"train": 60, "test": 50}
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
CLASSES = {"mnist": 10, "fashion-mnist": 10, "kmnist": 10,
           "emnist-balanced": 47, "emnist-digits": 10, "emnist-letters": 26}
IDX = list(CLASSES)
ALL = [*IDX, "usps"]
KNOWN = ["mnist", "fashion-mnist"]  # whose content has a known MD5


def made_files(monkeypatch) -> dict[str, dict[str, bytes]]:
    """Files by data set and name, as torchvision opens them; counts and checksums become theirs, the network is
    closed.
    """
    made = {name: usps_files() if name == "usps" else idx_files(name) for name in ALL}
    archives = {name: archives_of(name, made) for name in ALL}
    for name, files in made.items():
        source = SOURCES[name]
        parts = {part: tuple(shrunk(file, n, files) for file in getattr(source, part)) for part, n in COUNTS.items()}
        monkeypatch.setitem(SOURCES, name, dataclasses.replace(source, **parts))
    for name in ("mnist", "fashion-mnist", "kmnist"):
        resources = [(archive, md5(content)) for archive, content in archives[name].items()]
        monkeypatch.setattr(getattr(torchvision.datasets, SOURCES[name].kind), "resources", resources)
    monkeypatch.setattr(torchvision.datasets.EMNIST, "md5", md5(archives["emnist-letters"]["gzip.zip"]))
    parts = zip(COUNTS, made["usps"].items(), strict=True)
    listed = {part: [f"http://127.0.0.1:9/{file}", file, md5(content)] for part, (file, content) in parts}
    monkeypatch.setattr(torchvision.datasets.USPS, "split_list", listed)
    monkeypatch.setattr(downloads, "fetch", refuse)
    return made


def idx_files(name: str) -> dict[str, bytes]:
    source, rng = SOURCES[name], np.random.default_rng(ALL.index(name))
    made = {}
    for part, n in COUNTS.items():
        images, labels = getattr(source, part)
        made[images.name] = struct.pack(">4i", 2051, n, 28, 28) + rng.bytes(n * 784)
        classes = (source.first_label + i % CLASSES[name] for i in range(n))
        made[labels.name] = struct.pack(">2i", 2049, n) + bytes(classes)
    return made


def usps_pixels(part: str) -> np.ndarray:
    return np.random.default_rng(COUNTS[part]).integers(0, 256, (COUNTS[part], 16, 16), np.uint8)


def usps_files() -> dict[str, bytes]:
    """bzip2 of lines `label index:value ...` with labels from 1 and values in [-1, 1]."""
    made = {}
    for part, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = []
        for i, image in enumerate(usps_pixels(part)):
            values = (f"{k}:{(value + 0.5) / 127.5 - 1:.6f}" for k, value in enumerate(image.flatten().tolist(), 1))
            lines.append(f"{i % 10 + 1} {' '.join(values)}")
        made[file] = bz2.compress("\n".join(lines).encode())
    return made


def shrunk(file: named.File, count: int, files: dict[str, bytes]) -> named.File:
    """What named.py says of a file, said of the made one."""
    return dataclasses.replace(file, shape=(count, *file.shape[1:]) if file.shape else (),
                               md5=md5(files[file.name]) if file.md5 else "")


def archives_of(name: str, made: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """What is downloaded for a data set."""
    if name == "usps":
        return made[name]
    if not name.startswith("emnist"):
        return {f"{file}.gz": packed(content) for file, content in made[name].items()}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for other in (other for other in made if other.startswith("emnist")):
            for file, content in made[other].items():
                archive.writestr(zipfile.ZipInfo(f"gzip/{file}.gz"), packed(content))
    return {"gzip.zip": written.getvalue()}


def refuse(urls, md5, target):
    raise downloads.Unavailable("no network in this test")


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@functools.cache
def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def put(data_dir: Path, name: str, small: dict[str, dict[str, bytes]], form: str) -> Path:
    """The folder of a data set, with its files written to it: unpacked, as .gz, in turns, or as they are downloaded."""
    folder = data_dir / SOURCES[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for i, (file, content) in enumerate(small[name].items()):
        if form == "gz" or (form == "mixed" and i % 2):
            (folder / f"{file}.gz").write_bytes(packed(content))
        elif form != "archive":
            (folder / file).write_bytes(content)
    if form == "archive":
        for archive, content in archives_of(name, small).items():
            (folder / archive).write_bytes(content)
    return folder
