"""`Folder`: a data set that lies in a folder: its files found, and what would lead out of it or in circles refused."""

import errno
import os
from pathlib import Path

from ssgan.data.entries import Entry, Found, is_litter, is_wanted
from ssgan.data.image_files import image_endings
from ssgan.errors import Mistake
from ssgan.files import shown


class Folder:
    """A source whose files are its own, read where they lie."""

    in_order = False

    def __init__(self, path: Path):
        self.path = path

    def find(self) -> Found:
        """Its files. Raises Mistake for a folder that cannot be read, a link that leads out, and links in a circle.

        Images alone are asked for their size and time, so that many other files cost little.
        """
        found = Found([], [], [])
        root = os.path.realpath(self.path)
        self._walk("", root, (root,), image_endings(), found)
        return found

    def open(self, entry: Entry) -> Path:
        """Where a file lies."""
        return self.path / entry.name

    def close(self) -> None:
        """Nothing is held open."""

    def _walk(self, prefix: str, root: str, above: tuple[str, ...], endings: set[str], found: Found) -> None:
        """Adds the files of a folder and those below it; `above` are the real folders on the way to it."""
        folders = []
        try:
            with os.scandir(self.path / prefix) as items:
                for item in items:
                    name = prefix + item.name
                    if is_litter(item.name):
                        found.litter.append(name)
                        continue
                    if item.is_symlink():
                        _check_link(item.path, root)
                    if item.is_dir():
                        folders.append(name)
                    elif is_wanted(item.name, endings) and item.is_file():
                        about = item.stat()
                        found.entries.append(Entry(name, about.st_size, about.st_mtime_ns))
                    elif is_wanted(item.name, endings) and item.is_symlink():  # to nothing
                        found.entries.append(Entry(name, 0, 0))
                    else:
                        found.others.append(name)
        except OSError as error:
            raise Mistake(f"{shown(str(self.path / prefix))} cannot be read: {error.strerror or error}.\n"
                          f"Give yourself permission to read it, or name another folder.") from None
        for name in folders:
            real = os.path.realpath(self.path / name)
            if real in above:
                raise _circle(str(self.path / name))
            self._walk(f"{name}/", root, (*above, real), endings, found)


def _check_link(link: str, root: str) -> None:
    """Raises Mistake for a link to itself, and for one that leads out of the folder."""
    real = os.path.realpath(link)
    if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
        raise Mistake(f"{shown(link)} is a link that leads out of the folder, to {shown(real)}.\n"
                      f"Put the files themselves there, or name the folder in which they lie.")
    try:
        os.stat(link)
    except FileNotFoundError:  # to nothing: told as a broken image
        pass
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _circle(link) from None
        raise


def _circle(link: str) -> Mistake:
    return Mistake(f"{shown(link)} is a link that leads in a circle: remove it.")
