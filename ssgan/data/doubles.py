"""Doubles: images that are there several times, equal or nearly so, found by their content."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from ssgan.data.entries import counted
from ssgan.files import shown

BANDS = 4  # of a hash's 64 bits: hashes that differ in fewer bits are equal in one of them
FURTHEST = BANDS - 1  # bits in which hashes of images may differ that look alike
LONGEST = 20  # images that share a band and are compared, each with so many behind it
LEAST_CORRELATION = 0.98  # of the pixels of images that look alike
MOST_SHOWN = 3

NO_LIBRARY = 0  # the hash of every image where the library is not installed


def can_hash() -> bool:
    """Whether images that look alike can be found here."""
    return find_spec("imagehash") is not None


def perceptual_hash(pixels: np.ndarray) -> int:
    """64 bits of an image uint8 [c, h, w], of which images that look alike differ in few (imagehash's pHash)."""
    try:
        import imagehash
    except ImportError:
        return NO_LIBRARY
    from PIL import Image

    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    return int.from_bytes(np.packbits(imagehash.phash(image).hash).tobytes(), "big")


class Doubles(NamedTuple):
    """Pairs of images [m, 2] by their numbers, the smaller one first."""

    equal: np.ndarray  # each image with the first that is equal to it
    near: np.ndarray  # different ones that look alike


def find(digests: np.ndarray, hashes: np.ndarray, pixels: Callable[[np.ndarray], np.ndarray]) -> Doubles:
    """The doubles among n images with digests [n] and hashes uint64 [n]; `pixels` gives images [m, c, h, w] by number.

    Near doubles have hashes that differ in three bits at most and pixels whose correlation is at least 0.98.
    """
    _, first, group = np.unique(digests, return_index=True, return_inverse=True)
    number = np.arange(len(digests))
    repeated = number[first[group] != number]
    equal = np.stack([first[group[repeated]], repeated], axis=1)
    alone = np.sort(first)
    candidates = _close(alone, hashes[alone]) if hashes.any() else np.zeros((0, 2), dtype=np.int64)
    alike = [part[_correlation(pixels(part[:, 0]), pixels(part[:, 1])) >= LEAST_CORRELATION]
             for part in np.array_split(candidates, max(1, len(candidates) // 1000))]
    return Doubles(equal, np.concatenate(alike))


def lines(found: Doubles, labels: np.ndarray, train: int, names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """What a person is told of the doubles among images with labels [n], of which the first `train` are for training.

    None is removed, and this is said.
    """
    told = []
    for pairs, kind in ((found.equal, "equal images"), (found.near, "images that look alike (by a perceptual hash)")):
        across = (pairs[:, 0] < train) & (pairs[:, 1] >= train)
        known = (labels[pairs] >= 0).all(1)
        differ = known & (labels[pairs[:, 0]] != labels[pairs[:, 1]])
        for chosen, text in ((across, "in the training and in the test part"), (~across & ~differ, "within one part"),
                             (~across & differ, "under two classes")):
            if chosen.any():
                some = "; ".join(_pair(pair, labels, names, classes) for pair in pairs[chosen][:MOST_SHOWN])
                told.append(f"{counted(int(chosen.sum()), 'pair')} of {kind} {text}, left as they are: {some}")
    return told


def _pair(pair: np.ndarray, labels: np.ndarray, names: Sequence[str], classes: Sequence[str]) -> str:
    texts = [shown(names[number]) for number in pair]
    if (labels[pair] >= 0).all() and labels[pair[0]] != labels[pair[1]]:
        texts = [f"{text} ({shown(classes[labels[number]])})" for text, number in zip(texts, pair)]
    return " = ".join(texts)


def _close(number: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Pairs [m, 2] of the numbers whose hashes differ in few bits."""
    pairs, width = [np.zeros(0, dtype=np.int64)], 64 // BANDS  # a pair as one number
    for band in range(BANDS):
        key = (hashes >> np.uint64(band * width)) & np.uint64(2**width - 1)
        order = np.lexsort((hashes, key))
        for step in range(1, min(LONGEST, len(order) - 1) + 1):
            a, b = order[:-step], order[step:]
            same = key[a] == key[b]
            if not same.any():
                break
            a, b = a[same], b[same]
            few = _bits(hashes[a] ^ hashes[b]) <= FURTHEST
            pairs.append(np.minimum(a[few], b[few]) * len(hashes) + np.maximum(a[few], b[few]))
    return number[np.stack(np.divmod(np.unique(np.concatenate(pairs)), len(hashes)), axis=1)]


def _bits(values: np.ndarray) -> np.ndarray:
    """How many bits of uint64 values [m] are set: [m]."""
    return np.unpackbits(values[:, None].view(np.uint8), axis=1).sum(1)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the pixels of images [m, c, h, w] with those of others: [m]."""
    a, b = (x.reshape(len(x), int(np.prod(x.shape[1:]))).astype(np.float32) for x in (a, b))
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.where(scale > 0, (a * b).sum(1) / np.maximum(scale, 1e-12), 0.0)
