"""Many image files decoded side by side, as `Reader` decodes one: first what their headers say, then their pixels."""

import hashlib
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ssgan.data.doubles import perceptual_hash
from ssgan.data.entries import Entry, Source, counted
from ssgan.data.image_files import Unreadable
from ssgan.data.image_reader import GREY, ORIENTATION, Reader, pillow_is_quiet, reading
from ssgan.errors import Mistake

CHUNK = 64  # images that a thread takes at once
SMALLEST = 4  # pixels a side that a network can learn from
LARGEST = 64  # pixels a side that are chosen without being asked for
ROUND = 4  # a side that is chosen for images of several sizes is a multiple of it
TURNED = ("JPEG", "MPO", "TIFF", "WEBP")  # formats whose turn by EXIF is known from the header
COLOURS = (" to grey", " to RGB")  # ends of the kinds of conversion that say what `told` says of all images

Told = Callable[[int], object]  # how many images are done


class Header(NamedTuple):
    """What a file says of its image."""

    width: int
    height: int
    mode: str


class Content(NamedTuple):
    """An image and what it is known by."""

    pixels: np.ndarray  # uint8 [c, h, w]
    digest: bytes  # 16, of the pixels
    hash: int  # 64 bits that images which look alike have in common
    coloured: bool


@dataclass
class Seen:
    """What was met in many images."""

    unreadable: dict[int, str] = field(default_factory=dict)  # reasons by the number of the entry
    passing: bool = False  # whether one of them may be read another time
    modes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # (width, height)
    notes: Counter[str] = field(default_factory=Counter)  # kinds of conversion

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"unreadable": list(self.unreadable.items()), "modes": dict(self.modes), "notes": dict(self.notes),
                "sizes": [[*size, number] for size, number in self.sizes.items()]}

    @classmethod
    def of_plain(cls, found: dict[str, Any]) -> "Seen":
        """The inverse."""
        return cls(dict(found["unreadable"]), False, Counter(found["modes"]),
                   Counter({(width, height): number for width, height, number in found["sizes"]}),
                   Counter(found["notes"]))


def look(source: Source, entries: Sequence[Entry], told: Told) -> Seen:
    """The headers of all images."""
    seen = Seen()
    for number, found in _each(source, entries, lambda: _header, told):
        if isinstance(found, Unreadable):
            seen.unreadable[number] = found.reason
            seen.passing |= found.passing
        else:
            seen.modes[found.mode] += 1
            seen.sizes[found.width, found.height] += 1
    return seen


def shape_of(seen: Seen, image_size: int, where: str) -> tuple[int, int, int]:
    """The shape (c, h, w) in which images like these are taken; three channels where some might be coloured.

    A side that is asked for makes squares. Without one, images of one size up to 64 pixels stay as they are, and others
    become squares of their median side, up to 64. Raises Mistake for images that are too small.
    """
    channels = 1 if all(mode in GREY or mode.startswith("I;16") for mode in seen.modes) else 3
    if image_size:
        if image_size < SMALLEST:
            raise Mistake(f"--image-size {image_size}: a side has {SMALLEST} pixels at least; 0 finds one by looking.")
        return channels, image_size, image_size
    sizes = list(seen.sizes)
    if not sizes:  # none can be decoded, which is told elsewhere
        return channels, SMALLEST, SMALLEST
    if len(sizes) == 1 and max(sizes[0]) <= LARGEST:
        width, height = sizes[0]
    else:
        sides = np.repeat([math.sqrt(width * height) for width, height in sizes], [seen.sizes[size] for size in sizes])
        middle = float(np.median(sides))
        width = height = min(LARGEST, max(ROUND, round(middle / ROUND) * ROUND) if middle >= SMALLEST else int(middle))
    if min(width, height) < SMALLEST:
        raise Mistake(f"the images of {where} are of {width}x{height} pixels, too small to learn from: a side must "
                      f"have {SMALLEST} at least.\n--image-size 16, say, takes them enlarged.")
    return channels, height, width


def decode(source: Source, entries: Sequence[Entry], shape: tuple[int, int, int], seen: Seen,
           told: Told) -> Iterator[tuple[int, Content]]:
    """The images of that shape, each with the number of its entry, in any order; `seen` is told of the others, and of
    conversions.
    """
    readers: list[Reader] = []

    def make() -> Callable[[Callable, Path], Content | Unreadable]:
        readers.append(Reader(shape, lambda text: None))
        return lambda open_file, path, reader=readers[-1]: _content(reader, open_file, path)

    for number, found in _each(source, entries, make, told):
        if isinstance(found, Unreadable):
            seen.unreadable[number] = found.reason
            seen.passing |= found.passing
        else:
            yield number, found
    for reader in readers:
        seen.notes.update({kind: number for kind, number in reader.notes.items() if not kind.endswith(COLOURS)})


def lines(seen: Seen, shape: tuple[int, int, int], image_size: int) -> list[str]:
    """What a person is told of the images as they are and as they are taken."""
    (first, last), modes = _ends(seen), ", ".join(f"{mode} {number:,}" for mode, number in seen.modes.most_common())
    channels, height, width = shape
    how = "" if image_size else ", found by looking (--image-size takes another)"
    sizes = first if first == last else f"{first} to {last}"
    kinds = [kind for kind in seen.notes if not kind.startswith("resized to")]
    return [f"images: {sizes} pixels, modes {modes}; taken as {width}x{height} {'grey' if channels == 1 else 'colour'}"
            f"{how}", *(f"{counted(seen.notes[kind], 'image')}: {kind}" for kind in sorted(kinds))]


def _ends(seen: Seen) -> tuple[str, str]:
    """The smallest and the largest size."""
    order = sorted(seen.sizes, key=lambda size: (size[0] * size[1], size))
    return tuple(f"{width}x{height}" for width, height in (order[0], order[-1]))


def _each(source: Source, entries: Sequence[Entry], make: Callable[[], Callable], told: Told) -> Iterator[tuple]:
    """What a function makes of each file, with its number; `make` gives one for each thread's share.

    Threads, for Pillow decodes without Python's lock, and no process need be started from a notebook.
    """
    order = sorted(range(len(entries)), key=lambda number: entries[number].place)
    chunks = [order[start: start + CHUNK] for start in range(0, len(order), CHUNK)]
    threads, done = len(os.sched_getaffinity(0)), 0
    waiting: deque = deque()

    def run(chunk: list[int], opened: dict[int, Any]) -> list[tuple]:
        use = make()
        return [(number, use(opened.get(number) or (lambda entry=entries[number]: source.open(entry)),
                             Path(entries[number].name))) for number in chunk]

    def finish() -> Iterator[tuple]:
        nonlocal done
        found = waiting.popleft().result()
        done += len(found)
        told(done)
        return iter(found)

    with pillow_is_quiet(), ThreadPoolExecutor(threads) as pool:
        for chunk in chunks:
            opened = {number: _opened(source, entries[number]) for number in chunk} if source.in_order else {}
            waiting.append(pool.submit(run, chunk, opened))
            if len(waiting) > 2 * threads:
                yield from finish()
        while waiting:
            yield from finish()


def _opened(source: Source, entry: Entry) -> Callable[[], Any]:
    """Opens a file now; what went wrong is raised when it is used."""
    try:
        file = source.open(entry)
    except Exception as error:  # of a damaged archive; the file is listed with it
        failure = error

        def fail() -> Any:
            raise failure

        return fail
    return lambda: file


def _header(open_file: Callable, path: Path) -> Header | Unreadable:
    return reading(open_file, path, _size_and_mode)


def _size_and_mode(image: Image.Image, path: Path) -> Header:
    width, height = image.size
    if width != height and image.format in TURNED and image.getexif().get(ORIENTATION, 1) in range(5, 9):
        width, height = height, width
    return Header(width, height, image.mode)


def _content(reader: Reader, open_file: Callable, path: Path) -> Content | Unreadable:
    pixels = reader.decode(open_file, path)
    if isinstance(pixels, Unreadable):
        return pixels
    coloured = len(pixels) == 3 and not (pixels[0] == pixels[1:]).all()
    kept = np.ascontiguousarray(pixels if coloured or len(pixels) == 1 else pixels[:1])
    digest = hashlib.blake2b(kept, digest_size=16).digest()
    return Content(np.ascontiguousarray(pixels), digest, perceptual_hash(kept), bool(coloured))
