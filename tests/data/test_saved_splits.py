"""Files of splits: missing, cut off, changed, of another kind, and not written whole."""

import numpy as np
import pytest
from test_splits import dataset_of

from ssgan.data import splits
from ssgan.data.splits import SplitConfig, make_split
from ssgan.errors import Mistake


def test_a_missing_split_says_what_to_type(tmp_path):
    with pytest.raises(Mistake, match="there is no split at"):
        splits.load(tmp_path / "none.npz")


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.98])
def test_a_truncated_split_is_named(tmp_path, share):
    path = tmp_path / "split.npz"
    make_split(dataset_of([0] * 5 + [1] * 5, 2), 4, 0, SplitConfig("inclusive", 2)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Mistake, match="split.npz is not a whole split"):
        splits.load(path)


def test_a_changed_byte_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "split.npz"
    split = make_split(dataset_of([0] * 5 + [1] * 5, 2), 4, 0, SplitConfig("inclusive", 2))
    split.save(path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            loaded = splits.load(path)
        except Mistake:
            refused += 1
        else:
            assert all(np.array_equal(getattr(loaded, name), value) for name, value in vars(split).items())
    assert refused > len(whole) / 5 / 2


def test_other_files_are_no_split(tmp_path):
    good = vars(make_split(dataset_of([0] * 5 + [1] * 5, 2), 4, 0, SplitConfig("inclusive", 2)))
    path = tmp_path / "split.npz"
    changes = [
        {"labelled": good["labelled"].astype(float)},
        {"labelled": good["labelled"][None]},
        {"labelled": np.array([{"an": "object"}], dtype=object)},
        {"labels": "four"},
        {"pool": [1, 2]},
    ]
    for change in changes:
        np.savez(path, **{**good, **change})
        with pytest.raises(Mistake, match="is not a whole split"):
            splits.load(path)
    np.savez(path, labelled=good["labelled"])
    with pytest.raises(Mistake, match="is not a whole split"):
        splits.load(path)
    with open(path, "wb") as file:
        np.save(file, good["labelled"])
    with pytest.raises(Mistake, match="is not a whole split"):
        splits.load(path)


def test_a_failed_save_leaves_the_old_split(tmp_path, monkeypatch):
    dataset = dataset_of([0] * 5 + [1] * 5, 2)
    path = tmp_path / "split.npz"
    old = make_split(dataset, 4, 0, SplitConfig("inclusive", 2))
    old.save(path)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(splits.np, "savez", full)
    with pytest.raises(Mistake, match="no space"):
        make_split(dataset, 2, 1, SplitConfig("inclusive", 2)).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["split.npz"]
    assert np.array_equal(splits.load(path).labelled, old.labelled)
