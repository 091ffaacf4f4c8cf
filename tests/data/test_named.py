"""Sources: the digits as they are, small made MNIST files good and bad, and real MNIST where there is some."""

import gzip
import hashlib
import http.server
import os
import struct
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets

from ssgan.data import downloads, named
from ssgan.errors import Mistake

COUNTS = {"train": 40, "t10k": 20}
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
FETCH = downloads.fetch
KINDS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


@pytest.fixture
def small(monkeypatch) -> dict[str, dict[str, bytes]]:
    """Made files of both data sets by kind and name, unpacked; the published checksums and counts are made theirs."""
    made = {}
    monkeypatch.setattr(named, "COUNTS", COUNTS)
    for seed, kind in enumerate(KINDS.values()):
        rng = np.random.default_rng(seed)
        made[kind] = {}
        for part, n in COUNTS.items():
            made[kind][f"{part}-images-idx3-ubyte"] = struct.pack(">4i", 2051, n, 28, 28) + rng.bytes(n * 784)
            made[kind][f"{part}-labels-idx1-ubyte"] = struct.pack(">2i", 2049, n) + bytes(i % 10 for i in range(n))
        resources = [(f"{name}.gz", md5(packed(content))) for name, content in made[kind].items()]
        monkeypatch.setattr(getattr(torchvision.datasets, kind), "resources", resources)
    monkeypatch.setitem(named.UNPACKED_MD5, "MNIST", {name: md5(content) for name, content in made["MNIST"].items()})
    monkeypatch.setattr(downloads, "fetch", refuse)
    return made


def refuse(mirrors, name, md5, folder):
    raise downloads.Unavailable("no network in this test")


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def put(folder: Path, files: dict[str, bytes], form: str) -> Path:
    """The folder, with the files written to it unpacked, as .gz, or in turns."""
    folder.mkdir(parents=True)
    for i, (name, content) in enumerate(files.items()):
        if form == "gz" or (form == "mixed" and i % 2):
            (folder / f"{name}.gz").write_bytes(packed(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def test_digits_are_scikit_learns_scaled_to_bytes_and_split_once_and_for_all():
    from sklearn.datasets import load_digits

    dataset = named.load("digits", Path("no/such/folder"))
    assert dataset.name == "digits" and dataset.classes == tuple("0123456789")
    assert len(dataset.train) == 1437 and len(dataset.test) == 360 and dataset.train.shape == (1, 8, 8)
    found = sorted(
        (bytes(image.flatten().tolist()), int(label))
        for part in (dataset.train, dataset.test)
        for image, label in zip(part.pixels, part.labels, strict=True)
    )
    bunch = load_digits()
    expected = sorted(
        (bytes(round(value * 255 / 16) for value in image.flatten()), int(label))
        for image, label in zip(bunch.images, bunch.target, strict=True)
    )
    assert found == expected
    shares = dataset.test.labels.bincount() / (dataset.train.labels.bincount() + dataset.test.labels.bincount())
    assert (shares - 360 / 1797).abs().max() < 0.004
    assert dataset.sha256 == "46998e826dad0e97ee7ed16904103b8b8e1713ba429cf35b19b23a84ee0376ff"


def test_an_unknown_data_set_is_told_the_nearest(tmp_path):
    with pytest.raises(Mistake, match=r"no data set is called 'mnits'\. did you mean mnist.*digits"):
        named.load("mnits", tmp_path)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("form", ["unpacked", "gz", "mixed"])
def test_mnist_files_are_read_in_any_form(small, tmp_path, name, form):
    kind = KINDS[name]
    put(tmp_path / kind / "raw", small[kind], form)
    dataset = named.load(name, tmp_path)
    for images, part in ((dataset.train, "train"), (dataset.test, "t10k")):
        assert images.pixels.shape == (COUNTS[part], 1, 28, 28)
        assert images.pixels.numpy().tobytes() == small[kind][f"{part}-images-idx3-ubyte"][16:]
        assert bytes(images.labels.tolist()) == small[kind][f"{part}-labels-idx1-ubyte"][8:]
    assert dataset.name == name and len(dataset.classes) == 10


def test_class_names(small, tmp_path):
    for name, kind in KINDS.items():
        put(tmp_path / kind / "raw", small[kind], "unpacked")
        expected = tuple("0123456789") if name == "mnist" else tuple(torchvision.datasets.FashionMNIST.classes)
        assert named.load(name, tmp_path).classes == expected


def test_the_hash_is_of_content_not_of_place_or_form(small, tmp_path):
    for place, form in (("one", "unpacked"), ("two", "gz")):
        put(tmp_path / place / "MNIST" / "raw", small["MNIST"], form)
    put(tmp_path / "one" / "FashionMNIST" / "raw", small["FashionMNIST"], "unpacked")
    one, two = (named.load("mnist", tmp_path / place) for place in ("one", "two"))
    other = named.load("fashion-mnist", tmp_path / "one")
    assert one.sha256 == two.sha256 != other.sha256


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def longer(content: bytes) -> bytes:
    return content + b"\1"


def headless(content: bytes) -> bytes:
    return b"<!DO" + content[4:]


def flipped(content: bytes) -> bytes:
    """One bit, in the last byte but 20: in the data, and in a .gz before its own checksum."""
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def zeroed(content: bytes) -> bytes:
    """The second half never written, as after a crash: the right length, the wrong content."""
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


BREAKING = [truncated, empty, longer, headless]
SILENT = [flipped, zeroed]  # only a checksum tells, and none is published for unpacked Fashion-MNIST


@pytest.mark.parametrize(
    ("name", "form", "harm"),
    [(name, form, harm) for name in KINDS for form in ("unpacked", "gz") for harm in BREAKING]
    + [(name, form, harm) for name, form in (("mnist", "unpacked"), ("mnist", "gz"), ("fashion-mnist", "gz")) for harm in SILENT],
)
def test_a_damaged_file_is_named_with_its_mend(small, tmp_path, name, form, harm):
    kind = KINDS[name]
    folder = put(tmp_path / kind / "raw", small[kind], form)
    for victim in NAMES:
        path = folder / (f"{victim}.gz" if form == "gz" else victim)
        whole = path.read_bytes()
        path.write_bytes(harm(whole))
        with pytest.raises(Mistake) as mistake:
            named.load(name, tmp_path)
        assert f"{path} is damaged" in str(mistake.value) and "Delete that file and run again" in str(mistake.value)
        assert len(str(mistake.value).splitlines()) <= 3
        path.write_bytes(whole)
    named.load(name, tmp_path)


def test_a_label_that_does_not_exist_is_found_where_no_checksum_is_published(small, tmp_path):
    folder = put(tmp_path / "FashionMNIST" / "raw", small["FashionMNIST"], "unpacked")
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(Mistake, match="t10k-labels-idx1-ubyte is damaged: it holds the label 10"):
        named.load("fashion-mnist", tmp_path)


def test_a_whole_gz_of_other_content_is_found(small, tmp_path):
    """Two data sets have files of the same names and sizes."""
    for name, kind, other in (("mnist", "MNIST", "FashionMNIST"), ("fashion-mnist", "FashionMNIST", "MNIST")):
        put(tmp_path / kind / "raw", small[other], "gz")
        with pytest.raises(Mistake, match="train-images-idx3-ubyte.gz is damaged: its MD5"):
            named.load(name, tmp_path)


def test_mnist_compressed_again_by_oneself_is_mnist(small, tmp_path):
    folder = put(tmp_path / "MNIST" / "raw", small["MNIST"], "gz")
    for path in folder.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=1))
    assert len(named.load("mnist", tmp_path).train) == 40


def test_a_file_that_cannot_be_read_is_named(small, tmp_path):
    folder = put(tmp_path / "MNIST" / "raw", small["MNIST"], "unpacked")
    (folder / NAMES[1]).unlink()
    (folder / NAMES[1]).mkdir()
    with pytest.raises(Mistake, match="train-labels-idx1-ubyte is damaged"):
        named.load("mnist", tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_without_network_the_mistake_says_which_files_to_put_where(small, tmp_path, name):
    with pytest.raises(Mistake) as mistake:
        named.load(name, tmp_path)
    said = str(mistake.value)
    assert all(file in said for file in NAMES) and str(tmp_path / KINDS[name] / "raw") in said
    assert "no network in this test" in said and "`--dataset digits`" in said and "--data-dir" in said
    assert len(said.splitlines()) == 3 and not list(tmp_path.iterdir())


def test_only_missing_files_are_downloaded(small, tmp_path, monkeypatch):
    folder = put(tmp_path / "MNIST" / "raw", small["MNIST"], "mixed")
    (folder / NAMES[0]).unlink()
    asked = []

    def fetch(mirrors, name, md5, folder):
        asked.append((list(mirrors), name, md5))
        (folder / name).write_bytes(packed(small["MNIST"][NAMES[0]]))

    monkeypatch.setattr(downloads, "fetch", fetch)
    published = torchvision.datasets.MNIST
    assert len(named.load("mnist", tmp_path).train) == 40
    assert asked == [(published.mirrors, *published.resources[0])]
    named.load("mnist", tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_first_load_downloads_over_the_mirrors_and_a_second_needs_none(small, tmp_path, monkeypatch, name):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    monkeypatch.setattr(downloads, "fetch", FETCH)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    kind = KINDS[name]
    put(tmp_path / "site" / "good", small[kind], "gz")
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        mirrors = [f"http://127.0.0.1:{server.server_port}/{folder}/" for folder in ("missing", "good")]
        monkeypatch.setattr(getattr(torchvision.datasets, kind), "mirrors", mirrors)
        first = named.load(name, tmp_path / "data")
        server.shutdown()
        thread.join()
    assert sorted(path.name for path in (tmp_path / "data" / kind / "raw").iterdir()) == sorted(f"{file}.gz" for file in NAMES)
    assert first.train.pixels.numpy().tobytes() == small[kind][NAMES[0]][16:]
    assert named.load(name, tmp_path / "data").sha256 == first.sha256


def test_a_data_folder_that_is_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(Mistake, match="file is a file"):
        named.load("mnist", path)


def test_data_dir_is_the_option_else_the_variable_else_the_cache(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("SSGAN_DATA_DIR", "/from/variable")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert named.data_dir("~/mine") == Path("/home/someone/mine")
    assert named.data_dir(None) == Path("/from/variable")
    monkeypatch.setenv("SSGAN_DATA_DIR", "")
    assert named.data_dir(None) == Path("/cache/ssgan/data")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert named.data_dir(None) == Path("/home/someone/.cache/ssgan/data")


def test_published_md5s_are_those_of_torchvision_where_both_know_the_file(small):
    """The small table has the four names that torchvision downloads, so no file is left unchecked by a misspelt name."""
    for kind in KINDS.values():
        assert [name for name, _ in getattr(torchvision.datasets, kind).resources] == [f"{name}.gz" for name in NAMES]
    assert list(named.UNPACKED_MD5["MNIST"]) == NAMES


@pytest.mark.mnist
def test_real_mnist_is_as_torchvision_reads_it_and_loads_within_a_second(data_dir):
    named.load("mnist", data_dir)  # files into the page cache
    started = time.perf_counter()
    dataset = named.load("mnist", data_dir)
    assert time.perf_counter() - started < 1
    for images, train in ((dataset.train, True), (dataset.test, False)):
        reference = torchvision.datasets.MNIST(data_dir, train=train)
        assert torch.equal(images.pixels[:, 0], reference.data) and torch.equal(images.labels, reference.targets)
    assert dataset.sha256 == "7431be2664981aa6d7498fd63a299da69d3e48f790773d672b23bead931affa0"


@pytest.mark.mnist
def test_one_changed_pixel_of_real_mnist_is_found(data_dir, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in NAMES:
        os.symlink(data_dir.absolute() / "MNIST" / "raw" / name, folder / name)
    content = bytearray((folder / NAMES[2]).read_bytes())
    content[4_000_000] ^= 1
    (folder / NAMES[2]).unlink()
    (folder / NAMES[2]).write_bytes(content)
    with pytest.raises(Mistake, match="t10k-images-idx3-ubyte is damaged: its MD5"):
        named.load("mnist", tmp_path)
