"""Damaged files are named, with what is wrong and the mend, before anything is read from them."""

import pytest
from named_files import KNOWN, NAMES, put

from ssgan.data import named
from ssgan.data.named import SOURCES
from ssgan.errors import Mistake


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
SILENT = [flipped, zeroed]  # only a checksum tells
DAMAGES = ([(name, form, harm) for name in KNOWN for form in ("unpacked", "gz") for harm in BREAKING + SILENT]
           + [("kmnist", form, harm) for form in ("unpacked", "gz") for harm in BREAKING]
           + [("emnist-letters", form, harm) for form in ("unpacked", "gz") for harm in BREAKING]
           + [(name, "archive", harm) for name in ("kmnist", "emnist-letters", "usps") for harm in BREAKING + SILENT])


@pytest.mark.parametrize(("name", "form", "harm"), DAMAGES)
def test_a_damaged_file_is_named_with_its_mend(small, tmp_path, name, form, harm):
    folder = put(tmp_path, name, small, form)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(harm(whole))
        with pytest.raises(Mistake) as mistake:
            named.load(name, tmp_path)
        assert f"{path} is damaged" in str(mistake.value) and "Delete that file and run again" in str(mistake.value)
        assert len(str(mistake.value).splitlines()) <= 3
        path.write_bytes(whole)
    named.load(name, tmp_path)


@pytest.mark.parametrize(("name", "label"), [("kmnist", 10), ("emnist-balanced", 47), ("emnist-letters", 0),
                                             ("emnist-letters", 27)])
def test_a_label_that_does_not_exist_is_found_where_no_checksum_is_known(small, tmp_path, name, label):
    for place, part in (("one", "train"), ("two", "test")):
        folder = put(tmp_path / place, name, small, "unpacked")
        path = folder / getattr(SOURCES[name], part)[-1].name
        path.write_bytes(path.read_bytes()[:-1] + bytes([label]))
        with pytest.raises(Mistake, match=f"{path.name} is damaged: it holds the label {label}, expected"):
            named.load(name, tmp_path / place)


def test_whole_files_of_other_content_are_found(small, tmp_path):
    """Three data sets have files of the same names and sizes."""
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist"), ("kmnist", "mnist")):
        put(tmp_path, name, {name: small[other]}, "gz")
        with pytest.raises(Mistake, match="train-images-idx3-ubyte.gz is damaged: (its MD5|the MD5 of its content)"):
            named.load(name, tmp_path)


@pytest.mark.parametrize(("name", "file"), [("mnist", NAMES[1]), ("kmnist", f"{NAMES[1]}.gz"), ("usps", "usps.bz2"),
                                            ("emnist-letters", "gzip.zip")])
def test_a_file_that_cannot_be_read_is_named(small, tmp_path, name, file):
    folder = put(tmp_path, name, small, "unpacked" if name == "mnist" else "archive")
    (folder / file).unlink()
    (folder / file).mkdir()
    with pytest.raises(Mistake, match=f"{file} is damaged"):
        named.load(name, tmp_path)
