"""Images of one size as they are: from folders, archives and arrays; what is refused."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from ssgan.data.own_data import Reading
from ssgan.data.plain_images import is_place, plain_images
from ssgan.errors import Mistake


def save(path, value=100, size=(6, 5), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


def test_files_come_in_the_order_of_their_names_whatever_their_folder(tmp_path):
    for name, value in (("b/2.png", 20), ("a/9.png", 10), ("c.png", 30)):
        save(tmp_path / "in" / name, value)
    found = plain_images(str(tmp_path / "in"), Reading())
    assert found.shape == (1, 5, 6) and found.pixels[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert (found.labels == -1).all() and found.classes == ()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("*.png")):
            archive.write(path, path.name)
    assert sorted(plain_images(str(tmp_path / "in.zip"), Reading()).pixels[:, 0, 0, 0].tolist()) == [10, 20, 30]


def test_large_images_keep_their_size_and_colour_makes_three_channels(tmp_path):
    save(tmp_path / "1.png", size=(100, 80))
    save(tmp_path / "2.png", size=(100, 80), mode="RGB")
    assert plain_images(f"folder:{tmp_path}", Reading()).shape == (3, 80, 100)


def test_several_sizes_are_refused_unless_one_is_asked_for(tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "2.png", size=(7, 7))
    with pytest.raises(Mistake, match="several sizes: 1 of 6x5, 1 of 7x7"):
        plain_images(str(tmp_path), Reading())
    assert plain_images(str(tmp_path), Reading(image_size=8)).shape == (1, 8, 8)


def test_an_empty_folder_and_broken_files_are_refused(tmp_path):
    with pytest.raises(Mistake, match="holds no images"):
        plain_images(str(tmp_path), Reading())
    save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(Mistake, match=r"1 image cannot be decoded: the first is 2.png(?s:.*)--skip-broken"):
        plain_images(str(tmp_path), Reading())
    assert len(plain_images(str(tmp_path), Reading(skip_broken=True))) == 1
    with pytest.raises(Mistake, match="there is no folder"):
        plain_images("folder:nowhere", Reading())


def test_arrays_are_taken_as_they_are_and_without_labels(tmp_path):
    path = tmp_path / "made.npz"
    np.savez(path, x=np.full((3, 4, 4), 16, dtype=np.uint8))
    assert is_place(f"npz:{path}") and not is_place("nowhere")
    assert (plain_images(f"npz:{path}", Reading()).pixels == 16).all(), "dark images are no images of another range"
    np.savez(path, x=np.full((3, 4, 4), np.nan, dtype=np.float32))
    with pytest.raises(Mistake, match="images are uint8, or numbers from 0 to 1"):
        plain_images(f"npz:{path}", Reading())
    np.savez(path, y=np.zeros(3))
    with pytest.raises(Mistake, match="holds y, and no x"):
        plain_images(f"npz:{path}", Reading())
