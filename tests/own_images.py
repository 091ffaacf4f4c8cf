"""Made-up folders of images as people have them: small, unbalanced, mixed, damaged."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ssgan.data.own_data import Reading

SIDE = 12


class Heard:
    """Watches the reading of data and keeps what it is told."""

    def __init__(self):
        self.lines: list[str] = []
        self.stages: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def begin(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def update(self, done: int) -> None:
        pass

    def end(self) -> None:
        pass

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def heard(**reading) -> tuple[Reading, Heard]:
    """A reading with somebody who watches it."""
    watching = Heard()
    return Reading(watching=watching, **reading), watching


def picture(number: int, kind: int = 0, side: int = SIDE) -> np.ndarray:
    """A grey image [side, side] of a kind, which a classifier can tell, and different for every number."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 90, (side, side), dtype=np.uint8)
    third = side // 3
    pixels[:, kind * third: (kind + 1) * third] += 120
    return pixels


def write(path: Path, number: int, kind: int = 0, side: int = SIDE) -> Path:
    """Such an image as a PNG file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number, kind, side)).save(path)
    return path


def write_classes(root: Path, sizes: dict[str, int], first: int = 0) -> Path:
    """Folders of so many images each."""
    number = first
    for kind, (name, count) in enumerate(sizes.items()):
        for _ in range(count):
            write(root / name / f"{number:03}.png", number, kind)
            number += 1
    return root


def simple(root: Path) -> Path:
    """Two classes of six labelled images each, and ten unlabelled ones."""
    write_classes(root / "labelled", {"left": 6, "right": 6})
    for number in range(100, 110):
        write(root / "unlabelled" / f"{number}.png", number, number % 2)
    return root


def pack(folder: Path, path: Path) -> Path:
    """The folder as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def messy(root: Path) -> Path:
    """Three classes at 1 : 3 : 30, one of them with a single labelled image, unlabelled images with a fourth class, a
    test part, grey and colour, several sizes, EXIF turns, palettes, transparency, doubles, strange names, litter, and
    2 % broken.
    """
    labelled, unlabelled, test = root / "labelled", root / "unlabelled", root / "test"
    write(labelled / "rare" / "one.png", 0, 0)
    for number in range(1, 4):
        write(labelled / "some größe" / f"{number} é\nline.png", number, 1)
    for number in range(4, 34):
        write(labelled / "often" / f"{number}.png", number, 2, SIDE + number % 4)
    for number in range(100, 160):
        write(unlabelled / f"{number}.png", number, number % 3)
    for number in range(160, 166):  # a class that nobody named
        Image.fromarray(255 - picture(number)).save(unlabelled / f"fourth {number}.png")
    for kind, (name, count) in enumerate({"rare": 2, "some größe": 3, "often": 6}.items()):
        for number in range(200, 200 + count):
            write(test / name / f"{number}.png", 1000 + number + 10 * count, kind)
    colours = np.stack([picture(300), picture(301), picture(302)], axis=2)
    Image.fromarray(colours).save(labelled / "often" / "colour.jpg", quality=95)
    Image.fromarray(picture(303, 2)).convert("P").save(labelled / "often" / "palette.png")
    clear = np.dstack([colours, np.where(picture(304) > 60, 255, 0).astype(np.uint8)])
    Image.fromarray(clear).save(unlabelled / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(305, 2)).save(unlabelled / "turned.jpg", exif=exif)
    (unlabelled / "double.png").write_bytes((labelled / "often" / "5.png").read_bytes())
    (test / "often" / "leaked.png").write_bytes((labelled / "often" / "6.png").read_bytes())
    alike = picture(7, 2, SIDE + 3).astype(np.int64) + 2
    Image.fromarray(alike.clip(0, 255).astype(np.uint8)).save(unlabelled / "alike.png")
    (labelled / "often" / "broken.png").write_bytes((labelled / "often" / "8.png").read_bytes()[:90])
    (unlabelled / "broken.jpg").write_bytes(b"no image")
    (unlabelled / "half.png").write_bytes((unlabelled / "100.png").read_bytes()[:100])
    for litter in (".DS_Store", "labelled/Thumbs.db", "labelled/often/desktop.ini", "notes.txt"):
        (root / litter).write_text("litter")
    return root
