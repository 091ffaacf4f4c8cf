"""Images of one size without labels, as they are: a folder, zip or tar of files, or x of an .npz file."""

from pathlib import Path
from typing import TYPE_CHECKING

from ssgan.data.own_data import NPZ, Reading, is_own, open_source, split
from ssgan.errors import Mistake

if TYPE_CHECKING:
    from ssgan.data.images import Images


def is_place(name: str) -> bool:
    """Whether a name says where images lie: a path that exists, or one behind folder: or npz:."""
    return is_own(name) or Path(name).expanduser().exists()


def plain_images(name: str, reading: Reading) -> "Images":
    """The images there, in the order of their names; in class folders too, whose names are left aside. Raises Mistake
    where there are none, where some cannot be decoded, and where they are of several sizes and none is asked for.
    """
    kind, path = split(name) if is_own(name) else ("", name)
    path = Path(path).expanduser()
    if kind == NPZ or path.suffix.lower() == ".npz":
        from ssgan.data.arrays import load_images

        return load_images(path)
    return _of_files(path, reading)


def _of_files(path: Path, reading: Reading) -> "Images":
    import numpy as np
    import torch

    from ssgan.data import decoding
    from ssgan.data.entries import TABLE, counted
    from ssgan.data.images import Images

    source, watching = open_source(path), reading.watching
    try:
        entries = sorted(entry for entry in source.find().entries if not entry.name.lower().endswith(TABLE))
        if not entries:
            raise Mistake(f"{path} holds no images: name a folder, zip or tar of image files.")
        watching.begin("reading headers", len(entries))
        seen = decoding.look(source, entries, watching.update)
        shape = _shape(seen, path, reading.image_size)
        pixels, kept = np.zeros((len(entries), *shape), dtype=np.uint8), np.zeros(len(entries), dtype=bool)
        watching.begin("decoding", len(entries))
        for number, content in decoding.decode(source, entries, shape, seen, watching.update):
            pixels[number], kept[number] = content.pixels, True
    finally:
        source.close()
    if seen.unreadable and not reading.skip_broken or not kept.any():
        number, reason = min(seen.unreadable.items())
        raise Mistake(f"of the images in {path}, {counted(len(seen.unreadable), 'image')} cannot be decoded: the first "
                      f"is {entries[number].name} ({reason}).\nMend or remove them, or go on without them: "
                      f"--skip-broken.")
    return Images.of(torch.from_numpy(pixels[kept]), torch.full((int(kept.sum()),), -1), ())


def _shape(seen, path: Path, image_size: int) -> tuple[int, int, int]:
    """The shape (c, h, w) of the images. Raises Mistake where they are of several sizes and none is asked for."""
    from ssgan.data.decoding import shape_of

    channels, height, width = shape_of(seen, image_size, str(path))
    if image_size or not seen.sizes:
        return channels, height, width
    if len(seen.sizes) > 1:
        told = ", ".join(f"{number:,} of {width}x{height}"
                         for (width, height), number in seen.sizes.most_common(3))
        more = f" and {len(seen.sizes) - 3} sizes more" if len(seen.sizes) > 3 else ""
        raise Mistake(f"the images in {path} are of several sizes: {told}{more}. A resizing changes scores, so it must "
                      f"be asked for.\nBring them to one size, for example: --image-size {max(height, 4)}")
    (width, height), = seen.sizes
    return channels, height, width
