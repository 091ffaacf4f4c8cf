"""Sources: the digits as they are, small made files of every other data set, and real ones where there are some."""

import gzip
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from named_files import ALL, CLASSES, COUNTS, IDX, KNOWN, NAMES, archives_of, packed, put, usps_pixels

from ssgan.data import downloads, named
from ssgan.data.colour_sets import COLOUR
from ssgan.data.named import SOURCES
from ssgan.errors import Mistake

FETCH = downloads.fetch
REAL = {"mnist": "7431be2664981aa6d7498fd63a299da69d3e48f790773d672b23bead931affa0",
        "fashion-mnist": "70beeb64a68842774a5a738f96169011c1e7c2a0dc5891a55bfd09a7e6b90022"}


def listing(folder: Path) -> dict[str, int]:
    """Everything under a folder, with the time of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


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


@pytest.mark.parametrize("name", IDX)
@pytest.mark.parametrize("form", ["unpacked", "gz", "mixed", "archive"])
def test_idx_files_are_read_in_any_form_and_nothing_is_written(small, tmp_path, name, form):
    folder = put(tmp_path, name, small, form)
    before = listing(tmp_path)
    folder.chmod(0o500)
    dataset = named.load(name, tmp_path)
    folder.chmod(0o700)
    assert listing(tmp_path) == before
    source = SOURCES[name]
    for images, files, part in ((dataset.train, source.train, "train"), (dataset.test, source.test, "test")):
        n = COUNTS[part]
        assert images.pixels.shape == (n, 1, 28, 28) and images.pixels.dtype == torch.uint8
        upright = images.pixels[:, 0].transpose(1, 2) if name.startswith("emnist") else images.pixels[:, 0]
        assert upright.numpy().tobytes() == small[name][files[0].name][16:]
        assert images.labels.tolist() == [i % CLASSES[name] for i in range(n)]
    assert dataset.name == name and len(dataset.classes) == CLASSES[name]


def test_usps_is_read_to_the_pixel(small, tmp_path):
    put(tmp_path, "usps", small, "unpacked")
    dataset = named.load("usps", tmp_path)
    assert dataset.classes == tuple("0123456789")
    for images, part in ((dataset.train, "train"), (dataset.test, "test")):
        assert images.pixels.dtype == torch.uint8 and np.array_equal(images.pixels[:, 0].numpy(), usps_pixels(part))
        assert images.labels.tolist() == [i % 10 for i in range(COUNTS[part])]


def test_class_names(small, tmp_path):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    expected = {"mnist": "0123456789", "fashion-mnist": torchvision.datasets.FashionMNIST.classes,
                "kmnist": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
                "emnist-balanced": f"0123456789{letters}abdefghnqrt", "emnist-digits": "0123456789",
                "emnist-letters": letters.lower(), "usps": "0123456789"}
    for name in ALL:
        put(tmp_path, name, small, "archive")
        assert named.load(name, tmp_path).classes == tuple(expected[name])


def test_every_source_but_the_bundled_one_is_tested_here():
    assert list(SOURCES) == ["digits", *ALL, *COLOUR], "those in colour have a file of their own"


def test_the_hash_is_of_content_not_of_place_or_form(small, tmp_path):
    for place, form in (("one", "unpacked"), ("two", "gz")):
        put(tmp_path / place, "mnist", small, form)
    put(tmp_path / "one", "fashion-mnist", small, "unpacked")
    one, two = (named.load("mnist", tmp_path / place) for place in ("one", "two"))
    other = named.load("fashion-mnist", tmp_path / "one")
    assert one.sha256 == two.sha256 != other.sha256


@pytest.mark.parametrize("name", KNOWN)
def test_files_compressed_again_are_the_same_data(small, tmp_path, name):
    """As Debian's package of Fashion-MNIST has them."""
    folder = put(tmp_path, name, small, "gz")
    expected = named.load(name, tmp_path).sha256
    for path in folder.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=1))
    assert named.load(name, tmp_path).sha256 == expected


def test_torchvision_s_old_unchecked_copies_are_not_read(small, tmp_path):
    put(tmp_path, "mnist", small, "unpacked")
    expected = named.load("mnist", tmp_path).sha256
    (tmp_path / "MNIST" / "processed").mkdir()
    for part in ("training", "test"):
        old = torch.zeros(5, 28, 28, dtype=torch.uint8), torch.zeros(5).long()
        torch.save(old, tmp_path / "MNIST" / "processed" / f"{part}.pt")
    assert named.load("mnist", tmp_path).sha256 == expected


def test_files_in_a_relative_folder(small, tmp_path, monkeypatch):
    put(tmp_path / "data", "mnist", small, "mixed")
    monkeypatch.chdir(tmp_path)
    assert len(named.load("mnist", Path("data")).train) == COUNTS["train"]


def test_no_temporary_folder_is_left_and_one_that_cannot_be_written_is_told(small, tmp_path, monkeypatch):
    put(tmp_path, "mnist", small, "gz")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    named.load("mnist", tmp_path)
    assert not list((tmp_path / "tmp").iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(Mistake, match="cannot write .*none: No such file"):
        named.load("mnist", tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_without_network_the_mistake_says_which_files_to_put_where(small, tmp_path, name):
    with pytest.raises(Mistake) as mistake:
        named.load(name, tmp_path)
    said = str(mistake.value)
    assert all(file in said for file in small[name]) and f"into {tmp_path / SOURCES[name].folder}, or name" in said
    assert "no network in this test" in said and "`--dataset digits`" in said and "--data-dir" in said
    assert ("unpacked or as .gz" in said) == (name in ("mnist", "fashion-mnist", "kmnist"))
    assert ("or gzip.zip" in said) == name.startswith("emnist")
    assert len(said.splitlines()) == 3 and not list(tmp_path.iterdir())


def test_only_missing_files_are_downloaded(small, tmp_path, monkeypatch):
    folder = put(tmp_path, "mnist", small, "mixed")
    (folder / NAMES[0]).unlink()
    asked = []

    def fetch(urls, md5, target):
        asked.append((list(urls), md5, target))
        target.write_bytes(packed(small["mnist"][NAMES[0]]))

    monkeypatch.setattr(downloads, "fetch", fetch)
    published = torchvision.datasets.MNIST
    assert len(named.load("mnist", tmp_path).train) == COUNTS["train"]
    name, expected = published.resources[0]
    assert asked == [([f"{mirror}{name}" for mirror in published.mirrors], expected, folder / name)]
    named.load("mnist", tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "emnist-letters", "usps"])
def test_a_first_load_downloads_and_a_second_needs_no_network(small, tmp_path, monkeypatch, name):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    monkeypatch.setattr(downloads, "fetch", FETCH)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    archives = archives_of(name, small)
    (tmp_path / "site" / "good").mkdir(parents=True)
    for archive, content in archives.items():
        (tmp_path / "site" / "good" / archive).write_bytes(content)
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        site, published = f"http://127.0.0.1:{server.server_port}", getattr(torchvision.datasets, SOURCES[name].kind)
        if name == "usps":
            listed = {part: [f"{site}/good/{file}", file, md5] for part, (_, file, md5) in published.split_list.items()}
            monkeypatch.setattr(published, "split_list", listed)
        elif name == "emnist-letters":
            monkeypatch.setattr(published, "url", f"{site}/good/gzip.zip")
        else:
            monkeypatch.setattr(published, "mirrors", [f"{site}/{folder}/" for folder in ("missing", "good")])
        first = named.load(name, tmp_path / "data")
        server.shutdown()
        thread.join()
    assert sorted(path.name for path in (tmp_path / "data" / SOURCES[name].folder).iterdir()) == sorted(archives)
    assert len(first.train) == COUNTS["train"] and named.load(name, tmp_path / "data").sha256 == first.sha256


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


@pytest.mark.parametrize("option", [None, "~/mine"])
def test_a_person_without_a_home_folder_is_told_to_choose(monkeypatch, option):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    for variable in ("SSGAN_DATA_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(Mistake, match="needs a home folder.*--data-dir"):
        named.data_dir(option)


def test_the_files_are_those_that_torchvision_downloads_or_opens(tmp_path):
    """So no file is looked for under a misspelt name."""
    for name in ("mnist", "fashion-mnist", "kmnist"):
        published = getattr(torchvision.datasets, SOURCES[name].kind)
        assert [archive for archive, _ in published.resources] == [f"{file}.gz" for file in NAMES]
        assert [file.name for file in SOURCES[name].train + SOURCES[name].test] == NAMES
    for name in ("emnist-balanced", "emnist-digits", "emnist-letters"):
        for train, files in ((True, SOURCES[name].train), (False, SOURCES[name].test)):
            opened = torchvision.datasets.EMNIST.__new__(torchvision.datasets.EMNIST)
            opened.split, opened.train, opened.root = name.removeprefix("emnist-"), train, str(tmp_path)
            assert [Path(opened.images_file).name, Path(opened.labels_file).name] == [file.name for file in files]
            assert Path(opened.raw_folder) == tmp_path / SOURCES[name].folder
    files = [file for _, file, _ in torchvision.datasets.USPS.split_list.values()]
    assert files == [file.name for file in SOURCES["usps"].train + SOURCES["usps"].test]


def test_the_table_can_be_listed_without_torch():
    program = "import sys, ssgan.data.named; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.fixture(params=KNOWN)
def real(request, data_dir) -> str:
    """The name of a data set whose real files are there."""
    if not (data_dir / SOURCES[request.param].folder).is_dir():
        pytest.skip(f"no {SOURCES[request.param].folder} under SSGAN_DATA_DIR")
    return request.param


@pytest.mark.mnist
def test_real_data_are_as_torchvision_reads_them_and_load_within_a_second(data_dir, real):
    named.load(real, data_dir)  # files into the page cache
    started = time.process_time()  # the processor's time: other tests run beside this one
    dataset = named.load(real, data_dir)
    assert time.process_time() - started < 1
    for images, train in ((dataset.train, True), (dataset.test, False)):
        reference = getattr(torchvision.datasets, SOURCES[real].kind)(data_dir, train=train)
        assert torch.equal(images.pixels[:, 0], reference.data) and torch.equal(images.labels, reference.targets)
    assert dataset.sha256 == REAL[real]


@pytest.mark.mnist
def test_one_changed_pixel_of_real_data_is_found(data_dir, real, tmp_path):
    folder = tmp_path / SOURCES[real].folder
    folder.mkdir(parents=True)
    for name in NAMES:
        os.symlink(data_dir.absolute() / SOURCES[real].folder / name, folder / name)
    content = bytearray((folder / NAMES[2]).read_bytes())
    content[4_000_000] ^= 1
    (folder / NAMES[2]).unlink()
    (folder / NAMES[2]).write_bytes(content)
    with pytest.raises(Mistake, match="t10k-images-idx3-ubyte is damaged: the MD5"):
        named.load(real, tmp_path)


def test_how_many_training_images_a_set_has_is_known_without_reading_it():
    assert named.training_images("digits") == len(named.load("digits", Path("no/such/folder")).train)
    assert {name: named.training_images(name) for name in ("mnist", "emnist-letters", "usps", "photos")} == {
        "mnist": 60_000, "emnist-letters": 124_800, "usps": 7291, "photos": None}
    assert all(named.training_images(name) for name in SOURCES)
