"""Named random streams: every random draw of a run is a function of (seed, names, step), so no generator state is
saved.
"""

import hashlib

FIRST_TO_TUNE = 1000  # label seeds from here on are for choosing settings, those below for results


def stream(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream of these names; streams of different names or seeds are independent."""
    text = "\0".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *names: str | int):
    """numpy's generator at the start of the named stream."""
    import numpy

    return numpy.random.Generator(numpy.random.SFC64(stream(seed, *names)))


def torch_generator(seed: int, *names: str | int):
    """torch's CPU generator at the start of the named stream."""
    import torch

    return torch.Generator().manual_seed(stream(seed, *names))
