"""The colour sets that have a name: small made archives and files of each, from a server on this machine."""

import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets

from ssgan.data import downloads, named
from ssgan.data.colour_sets import COLOUR, STL10
from ssgan.errors import Mistake

FETCH = downloads.fetch
N, TEST = 20, 10  # images a training file, and of the test


def pixels(name: str, count: int, side: int) -> np.ndarray:
    return np.random.default_rng(len(name)).integers(0, 256, (count, 3, side, side), np.uint8)


def cifar(kind: str) -> dict[str, bytes]:
    """Pickles of rows of 3072 bytes, as Krizhevsky's."""
    published, key = getattr(torchvision.datasets, kind), "labels" if kind == "CIFAR10" else "fine_labels"
    made = {name: pickle.dumps({"data": pixels(name, N if "test" not in name else TEST, 32).reshape(-1, 3072), key: [
        i % 10 for i in range(N if "test" not in name else TEST)]})
        for name, _ in (*published.train_list, *published.test_list)}
    return made | {published.meta["filename"]: pickle.dumps({published.meta["key"]: [f"class {i}" for i in range(10)]})}


def svhn() -> dict[str, bytes]:
    """MATLAB files [h, w, c, n] with 10 for the digit 0."""
    made = {}
    for split, (_, name, _) in torchvision.datasets.SVHN.split_list.items():
        file, count = io.BytesIO(), TEST if split == "test" else N
        scipy.io.savemat(file, {"X": pixels(name, count, 32).transpose(2, 3, 1, 0),
                                "y": np.array([[i % 10 or 10] for i in range(count)], np.uint8)})
        made[name] = file.getvalue()
    return made


def stl10() -> dict[str, bytes]:
    """Columns before rows, and labels from 1."""
    counts = {"train": N, "unlabeled": 7, "test": TEST}
    made = {f"{name}_X.bin": pixels(f"{name}_X.bin", count, 96).transpose(0, 1, 3, 2).tobytes()
            for name, count in counts.items()}
    return made | {f"{name}_y.bin": bytes(i % 10 + 1 for i in range(counts[name])) for name in ("train", "test")}


MADE = {"CIFAR10": partial(cifar, "CIFAR10"), "CIFAR100": partial(cifar, "CIFAR100"), "SVHN": svhn, "STL10": stl10}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture(params=COLOUR)
def made(request, monkeypatch) -> tuple[str, dict[str, bytes], dict[str, bytes]]:
    """A set's name, its files, and what is downloaded, by their names; torchvision's checksums become theirs."""
    name, kind = request.param, COLOUR[request.param].kind
    published, files = getattr(torchvision.datasets, kind), MADE[kind]()
    monkeypatch.setattr(downloads, "fetch", refuse)
    if kind == "SVHN":
        monkeypatch.setattr(published, "split_list", {
            split: [url, file, md5(files[file])] for split, (url, file, _) in published.split_list.items()})
        wanted = ["train_32x32.mat", "test_32x32.mat"] + ["extra_32x32.mat"] * (name == "svhn-extra")
        files = {file: files[file] for file in wanted}
        return name, files, files
    for listed in ("train_list", "test_list"):
        monkeypatch.setattr(published, listed, [[file, md5(files[file])] for file, _ in getattr(published, listed)])
    if kind != "STL10":
        monkeypatch.setattr(published, "meta", published.meta | {"md5": md5(files[published.meta["filename"]])})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, content in files.items():
            about = tarfile.TarInfo(f"{COLOUR[name].folder}/{file}")
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    monkeypatch.setattr(published, "tgz_md5", md5(archive.getvalue()))
    return name, files, {published.filename: archive.getvalue()}


def refuse(urls, md5, target):
    raise downloads.Unavailable("no network in this test")


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def check(name: str, dataset) -> None:
    """That it is what was made."""
    kind, side = COLOUR[name].kind, 96 if name == "stl10" else 32
    parts = {"CIFAR10": [f"data_batch_{i}" for i in range(1, 6)], "CIFAR100": ["train"], "STL10": ["train_X.bin"],
             "SVHN": ["train_32x32.mat"] + ["extra_32x32.mat"] * (name == "svhn-extra")}[kind]
    expected = np.concatenate([pixels(part, N, side) for part in parts])
    labels = [i % 10 for _ in parts for i in range(N)]
    if name == "stl10":
        expected, labels = np.concatenate([expected, pixels("unlabeled_X.bin", 7, side)]), labels + [-1] * 7
    assert dataset.train.pixels.dtype == torch.uint8 and np.array_equal(dataset.train.pixels.numpy(), expected)
    assert dataset.train.labels.tolist() == labels and len(dataset.train.known) == len(labels) - 7 * (name == "stl10")
    test = {"CIFAR10": "test_batch", "CIFAR100": "test", "STL10": "test_X.bin", "SVHN": "test_32x32.mat"}[kind]
    assert np.array_equal(dataset.test.pixels.numpy(), pixels(test, TEST, side))
    assert dataset.test.labels.tolist() == list(range(10))
    names = {"SVHN": tuple("0123456789"), "STL10": STL10}
    assert dataset.classes == names.get(kind, tuple(f"class {i}" for i in range(10)))


@pytest.mark.parametrize("form", ["unpacked", "archive"])
def test_files_are_read_to_the_pixel_in_either_form_and_nothing_is_written(made, tmp_path, form):
    name, files, archives = made
    put(tmp_path / COLOUR[name].folder, files) if form == "unpacked" else put(tmp_path, archives)
    before = sorted(tmp_path.rglob("*"))
    check(name, named.load(name, tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_first_load_downloads_and_a_second_needs_no_network(made, tmp_path, monkeypatch):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    name, _, archives = made
    monkeypatch.setattr(downloads, "fetch", FETCH)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    put(tmp_path / "site", archives)
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        published, site = getattr(torchvision.datasets, COLOUR[name].kind), f"http://127.0.0.1:{server.server_port}"
        if COLOUR[name].kind == "SVHN":
            monkeypatch.setattr(published, "split_list", {
                split: [f"{site}/{file}", file, its] for split, (_, file, its) in published.split_list.items()})
        else:
            monkeypatch.setattr(published, "url", f"{site}/{published.filename}")
        check(name, named.load(name, tmp_path / "data"))
        server.shutdown()
        thread.join()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(archives)
    check(name, named.load(name, tmp_path / "data"))


def test_without_network_the_mistake_says_which_files_to_put_where(made, tmp_path):
    name, files, archives = made
    with pytest.raises(Mistake) as mistake:
        named.load(name, tmp_path)
    said = str(mistake.value)
    assert f"{tmp_path} has no {next(iter(archives))}" in said and "no network in this test" in said
    assert "http" in said and "--data-dir" in said and len(said.splitlines()) == 3 and not list(tmp_path.iterdir())
    if COLOUR[name].folder:
        assert f"into {tmp_path / COLOUR[name].folder}" in said and all(file in said for file in files)


def test_a_damaged_file_or_archive_is_named_with_its_mend(made, tmp_path):
    name, files, archives = made
    for place, contents in ((tmp_path / "one" / COLOUR[name].folder, files), (tmp_path / "two", archives)):
        put(place, contents)
        for file, content in contents.items():
            half = len(content) // 2
            for harmed in (content[:half], content[:half] + bytes([content[half] ^ 1]) + content[half + 1:], b""):
                (place / file).write_bytes(harmed)
                with pytest.raises(Mistake, match=f"(?s){file} is damaged.*Delete that file and run again"):
                    named.load(name, tmp_path / place.relative_to(tmp_path).parts[0])
            (place / file).write_bytes(content)
    check(name, named.load(name, tmp_path / "two"))
