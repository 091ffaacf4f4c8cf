"""`Reader`: image files decoded by Pillow and converted to what a classifier takes."""

import errno
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ssgan.data.archives import Packed
from ssgan.data.image_files import Unreadable
from ssgan.errors import Mistake
from ssgan.files import shown

MODES = {1: "L", 3: "RGB"}
GREY = ("1", "L", "LA", "La", "I", "F")
LARGEST = 100_000_000  # pixels; decoded they take 400 MB
DARK = 4096  # of 65,536: what cameras of 12 bits give, as they give it
ORIENTATION = 0x0112

T = TypeVar("T")


class Reader:
    """Turns files into uint8 images of `shape` (c, h, w), and says each kind of conversion once.

    Transparent parts become black, the background of the images that ssgan trains on; other sizes are stretched. Raises
    Mistake for channels that no image file has.
    """

    def __init__(self, shape: tuple[int, int, int], say: Callable[[str], object]):
        channels, height, width = shape
        if channels not in MODES:
            raise Mistake(f"this classifier takes images of {channels} channels; only grey and RGB images can be read "
                          f"from files.")
        self._mode, self._size, self._say = MODES[channels], (width, height), say
        self.notes: Counter[str] = Counter()  # how many images had each kind of conversion

    def read(self, path: Path) -> tuple[Path, np.ndarray] | Unreadable:
        """The path with the image's pixels; Unreadable where Pillow cannot decode it."""
        with pillow_is_quiet():
            pixels = self.decode(path.content if isinstance(path, Packed) else lambda: path, path)
        return pixels if isinstance(pixels, Unreadable) else (path, pixels)

    def decode(self, open_file: Callable[[], BinaryIO | Path], path: Path) -> np.ndarray | Unreadable:
        """The pixels of what is opened, under that path in messages; Unreadable as above. Pillow may warn."""
        return reading(open_file, path, self._convert)

    def _convert(self, image: Image.Image, path: Path) -> np.ndarray:
        if getattr(image, "is_animated", False):
            self._note("of animations and files of several pages the first image is taken", path)
        if image.getexif().get(ORIENTATION, 1) in range(2, 9):
            self._note("turned as EXIF says", path)
            image = ImageOps.exif_transpose(image)
        image = self._opaque(self._eight_bits(image, path), path)
        if image.mode != self._mode:
            if self._mode == "L" and image.mode not in GREY:
                self._note(f"{'palette' if image.mode == 'P' else image.mode} colours are converted to grey", path)
            elif self._mode == "RGB" and image.mode != "P":
                self._note(f"{'grey' if image.mode in GREY else image.mode} is converted to RGB", path)
            image = image.convert(self._mode)
        if image.size != self._size:
            self._note(f"resized to {self._size[0]}x{self._size[1]}", path, f", {image.width}x{image.height}")
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)  # [c, h, w]

    def _eight_bits(self, image: Image.Image, path: Path) -> Image.Image:
        """Sixteen bits of grey scaled to eight; other deep pixels have no range that is known."""
        # older Pillow calls them I
        deep = image.mode.startswith("I;16") or image.mode == "I" and image.format in ("PNG", "PPM")
        if deep:
            self._note("16 bits of grey are scaled to 8", path)
            values = np.asarray(image).astype(np.int64)
            if values.max(initial=0) < DARK:
                self._note(f"16 bits of grey stay below {DARK:,} and become nearly black: scale them to their range",
                           path)
            return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        if image.mode in ("I", "F"):
            kind = "32-bit" if image.mode == "I" else "floating-point"
            raise _NoRange(f"its {kind} pixels have no known range; save it with 8 or 16 bits")
        return image

    def _opaque(self, image: Image.Image, path: Path) -> Image.Image:
        """The image on black where it is transparent."""
        if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
            return image
        grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if grey else "RGBA").convert("RGBA")
        if image.getextrema()[3][0] < 255:
            self._note("transparent parts become black", path)
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        return image.convert("L" if grey else "RGB")

    def _note(self, kind: str, path: Path, detail: str = "") -> None:
        self.notes[kind] += 1
        if self.notes[kind] == 1:
            self._say(f"{kind} (first: {shown(path)}{detail})")


def pillow_is_quiet() -> warnings.catch_warnings:
    """A block in which Pillow does not warn, of strange EXIF data and of sizes, which are checked here; it is the whole
    process's.
    """
    return warnings.catch_warnings(action="ignore")


def reading(open_file: Callable[[], BinaryIO | Path], path: Path,
            use: Callable[[Image.Image, Path], T]) -> T | Unreadable:
    """What is made of the image in what is opened; Unreadable where it is none, or too large, or damaged."""
    try:
        with Image.open(open_file()) as image:
            if image.width * image.height > LARGEST:
                return Unreadable(path, f"it has more than {LARGEST:,} pixels")
            return use(image, path)
    except UnidentifiedImageError:
        return Unreadable(path, "it is no image")
    except _NoRange as reason:
        return Unreadable(path, str(reason))
    except Exception as error:  # of a damaged file a decoder raises whatever comes; the file is listed with it
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        passing = isinstance(error, MemoryError) or getattr(error, "errno", None) not in (None, errno.ENOENT)
        return Unreadable(path, text.splitlines()[0], passing)


class _NoRange(Exception):
    """Pixels that cannot be scaled to 8 bits."""
