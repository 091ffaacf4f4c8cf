"""`Zip` and `Tar`: a data set that lies in an archive, read member by member: nothing is ever unpacked to a disk."""

import contextlib
import functools
import io
import lzma
import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ssgan.data.entries import TABLE, Entry, Found, is_litter, is_wanted
from ssgan.data.image_files import Unreadable, image_endings
from ssgan.errors import Mistake
from ssgan.files import shown

ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")  # of the names of files that are looked into
MOST_BYTES = 2**36  # of all members together, 64 GiB
MOST_RATIO = 200  # of their bytes to the archive's, from so many bytes on:
RATIO_FROM = 2**28
MOST_OF_ONE = 2**28  # bytes of one member, which is read whole
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError,
          zipfile.BadZipFile, tarfile.TarError)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar that can be opened."""
    with contextlib.suppress(*DAMAGE):
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    return False


class Packed(type(Path())):
    """The path of a member of an archive, as if that were a folder; `content` gives what is in it."""

    content: Callable[[], BinaryIO]


def packed(path: Path) -> Iterator[Packed | Unreadable]:
    """The images in an archive; what cannot be opened safely comes as Unreadable. Each is to be read before the next
    one is asked for.
    """
    try:
        archive = open_archive(path)
    except Mistake as mistake:
        yield Unreadable(path, str(mistake).splitlines()[0])
        return
    try:
        entries = [entry for entry in archive.find().entries if entry.name.rpartition("/")[2].lower() != TABLE]
        if not entries:
            yield Unreadable(path, "there is no image in this archive")
        for entry in sorted(entries, key=lambda entry: (entry.place if archive.in_order else 0, entry.name)):
            member = Packed(path, entry.name)
            member.content = functools.partial(archive.open, entry)
            yield member
    except Mistake as mistake:
        yield Unreadable(path, str(mistake).splitlines()[0])
    finally:
        archive.close()


def open_archive(path: Path) -> "Zip | Tar":
    """The archive at `path`. Raises Mistake."""
    try:
        return Zip(path) if zipfile.is_zipfile(path) else Tar(path)
    except DAMAGE as error:
        raise _damaged(path, error) from None


class Zip:
    """A zip, whose members are read in any order."""

    in_order = False

    def __init__(self, path: Path):
        self.path, self.file = path, zipfile.ZipFile(path)
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.lock = threading.Lock()  # zipfile promises nothing of several threads

    def find(self) -> Found:
        """Its files. Raises Mistake for names that lead out of it, links, passwords, and a size that is not sound."""
        members = [member for member in self.file.infolist() if not member.is_dir()]
        for member in members:
            if member.flag_bits & 1:
                raise Mistake(f"{self.path}: {shown(member.filename)} is locked with a password; pack the images "
                              f"without one.")
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise _link(self.path, member.filename)
        _check_size(self.path, (member.file_size for member in members))
        self.members = {_safe(self.path, _name(member)): member for member in members}
        return _found((Entry(name, member.file_size, member.CRC, member.header_offset)
                       for name, member in self.members.items()))

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a member. Raises what DAMAGE names."""
        _check_one(entry)
        with self.lock:
            return io.BytesIO(self.file.read(self.members[entry.name]))

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


class Tar:
    """A tar, compressed or not; a compressed one is read from its beginning to its end."""

    def __init__(self, path: Path):
        self.path, self.file = path, tarfile.open(path)
        self.in_order = not isinstance(self.file.fileobj, io.BufferedReader)  # as a compressed one is
        self.plain = None if self.in_order else open(path, "rb")
        self.changed = path.stat().st_mtime_ns

    def find(self) -> Found:
        """Its files. Raises Mistake for names that lead out of it, links and devices, and a size that is not sound."""
        members: dict[str, Entry] = {}
        try:
            _check_size(self.path, (self._add(member, members) for member in self.file))
        except DAMAGE as error:
            raise _damaged(self.path, error) from None
        return _found(members.values())

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a member. Raises what DAMAGE names."""
        _check_one(entry)
        if self.plain is not None:
            return io.BytesIO(os.pread(self.plain.fileno(), entry.size, entry.place))
        self.file.fileobj.seek(entry.place)
        return io.BytesIO(self.file.fileobj.read(entry.size))

    def close(self) -> None:
        """Closes the file."""
        self.file.close()
        if self.plain is not None:
            self.plain.close()

    def _add(self, member: tarfile.TarInfo, members: dict[str, Entry]) -> int:
        """Takes a member in; its size."""
        name = _safe(self.path, member.name)
        if member.issym() or member.islnk():
            raise _link(self.path, member.name)
        if not member.isfile() and not member.isdir():
            raise Mistake(f"{self.path}: {shown(member.name)} is neither a file nor a folder; pack the images alone.")
        if member.isfile():
            # many tars are made with the same time for all members, whatever is in them
            members[name] = Entry(name, member.size, int(member.mtime) + self.changed, member.offset_data)
        return member.size


def _name(member: zipfile.ZipInfo) -> str:
    """Its name; some programs write it in UTF-8 and do not say so, and zipfile reads it as the code page of DOS."""
    says_utf8 = 0x800
    if member.flag_bits & says_utf8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _found(entries: Iterable[Entry]) -> Found:
    endings, found = image_endings(), Found([], [], [])
    for entry in entries:
        parts = entry.name.split("/")
        if any(is_litter(part) for part in parts):
            found.litter.append(entry.name)
        elif is_wanted(parts[-1], endings):
            found.entries.append(entry)
        else:
            found.others.append(entry.name)
    return found


def _safe(path: Path, name: str) -> str:
    """A member's name, its parts joined by /. Raises Mistake where it would lead out of the archive."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
        raise Mistake(f"{path}: the member {shown(name)} would lie outside of the archive's own folder: this archive "
                      f"is refused.\nIf you know where it comes from, pack the images anew.")
    return "/".join(parts)


def _check_size(path: Path, sizes: Iterable[int]) -> None:
    """Raises Mistake as soon as what the members hold is too much, in bytes or beside the archive's own."""
    total, packed = 0, max(1, path.stat().st_size)
    for size in sizes:
        total += size
        if total > MOST_BYTES or (total > RATIO_FROM and total > MOST_RATIO * packed):
            raise Mistake(f"{path} of {packed:,} bytes would unpack to {total:,} bytes or more: this archive is "
                          f"refused.\nIf it is sound, unpack it yourself and name the folder.")


def _check_one(entry: Entry) -> None:
    if entry.size > MOST_OF_ONE:
        raise ValueError(f"it has more than {MOST_OF_ONE >> 20} MiB")


def _link(path: Path, name: str) -> Mistake:
    return Mistake(f"{path}: {shown(name)} is a link; pack the images themselves.")


def _damaged(path: Path, error: Exception) -> Mistake:
    text = (str(error) or type(error).__name__).splitlines()[0]
    return Mistake(f"{path} cannot be read as a zip or a tar: {text}.\nCopy it afresh from where it came.")
