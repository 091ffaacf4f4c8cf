"""Doubles, equal and nearly so, found among many images and counted."""

import numpy as np
from own_images import picture
from PIL import Image

from ssgan.data import doubles
from ssgan.data.doubles import find, lines, perceptual_hash


def of(images: np.ndarray) -> doubles.Doubles:
    """The doubles among images [n, c, h, w]."""
    digests = np.array([image.tobytes()[:64] for image in images])
    hashes = np.array([perceptual_hash(image) for image in images], dtype=np.uint64)
    return find(digests, hashes, lambda numbers: images[numbers])


def test_equal_images_are_paired_with_the_first_of_them():
    images = np.stack([picture(number % 5)[None] for number in range(12)])
    pairs = sorted(map(tuple, of(images).equal.tolist()))
    assert pairs == [(0, 5), (0, 10), (1, 6), (1, 11), (2, 7), (3, 8), (4, 9)] and len(of(images).near) == 0


def test_images_that_look_alike_are_found_and_others_are_not():
    random = np.random.default_rng(0)
    coarse = [Image.fromarray(random.integers(0, 250, (5, 5), dtype=np.uint8)) for _ in range(60)]
    smooth = np.stack([np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))[None] for image in coarse])
    changed = (smooth[[7, 30]].astype(int) + random.integers(-2, 3, (2, 1, 32, 32)) + 3).clip(0, 255)
    images = np.concatenate([smooth, changed]).astype(np.uint8)
    assert of(images).near.tolist() == [[7, 60], [30, 61]] and len(of(images).equal) == 0


def test_hashes_that_differ_in_few_bits_are_the_slow_ones(monkeypatch):
    random = np.random.default_rng(1)
    base = random.integers(0, 2**63, 300).astype(np.uint64)
    hashes = np.concatenate([base, base[:100] ^ np.uint64(1 << 40 | 1), base[:50] ^ np.uint64(0b1111)])
    slow = {(i, j) for i in range(len(hashes)) for j in range(i + 1, len(hashes))
            if bin(int(hashes[i] ^ hashes[j])).count("1") <= doubles.FURTHEST}
    assert set(map(tuple, doubles._close(np.arange(len(hashes)), hashes).tolist())) == slow and len(slow) >= 100


def test_many_equal_hashes_take_no_long_time():
    hashes = np.full(20_000, 7, dtype=np.uint64)
    digests = np.arange(20_000)
    images = np.random.default_rng(0).integers(0, 256, (20_000, 1, 4, 4), dtype=np.uint8)
    assert len(find(digests, hashes, lambda numbers: images[numbers]).near) < 20_000


def test_without_the_library_no_near_doubles_are_looked_for(monkeypatch):
    import builtins

    real = builtins.__import__

    def missing(name, *rest):
        if name == "imagehash":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    images = np.stack([picture(0)[None], picture(0)[None], picture(1)[None]])
    assert of(images).equal.tolist() == [[0, 1]] and len(of(images).near) == 0


def test_a_person_is_told_across_parts_within_one_and_under_two_classes():
    found = doubles.Doubles(np.array([[0, 1], [0, 2], [1, 4]]), np.array([[2, 3]]))
    told = lines(found, np.array([0, 1, 0, -1, 1]), 4, ["a", "b", "c", "d", "t\n"], ["cat", "dog"])
    assert told == ["1 pair of equal images in the training and in the test part, left as they are: b = t\\n",
                    "1 pair of equal images within one part, left as they are: a = c",
                    "1 pair of equal images under two classes, left as they are: a (cat) = b (dog)",
                    "1 pair of images that look alike (by a perceptual hash) within one part, left as they are: c = d"]
