"""The download of one large file: gone on with where the connection was lost, known by its SHA-256, never half there.
"""

import hashlib
import http.client
import os
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ssgan.data import downloads
from ssgan.data.downloads import Unavailable, probe, reason_of
from ssgan.files import reading, writing

PIECE = 1 << 18  # bytes read at once
IN_VAIN, MOST = 2, 20  # connections that bring nothing, one after the other, and connections in all
PAUSE_SECONDS = 0.3  # before the next

Told = Callable[[int, int], None]  # how many bytes are there, and of how many (0: not known)


def fetch_resumed(urls: Sequence[str], sha256: str, target: Path, told: Told = lambda done, total: None) -> None:
    """Downloads a file of this SHA-256 to `target` from the first address that gives it; where a connection is lost,
    the next asks for the rest.

    Raises Unavailable where no address gives it whole, Mistake where the folder cannot be written. The file is written
    in a hidden folder beside `target` and moved, so what is given up leaves nothing.
    """
    reasons = []
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        host = urllib.parse.urlsplit(url).netloc
        try:
            probe(url, downloads.CONNECT_SECONDS / len(urls))
            print(f"downloading {target.name} from {host}", file=sys.stderr, flush=True)
            with writing(target), tempfile.TemporaryDirectory(
                    prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as folder:
                part = Path(folder, target.name)
                _fetch_from(url, part, told)
                if sha256_of(part) != sha256:
                    raise Unavailable("sent a damaged file, or another one")
                os.replace(part, target)
            return
        except Unavailable as error:
            reasons.append(f"{host}: {error}")
    raise Unavailable("; ".join(reasons))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file. Raises Mistake where it cannot be read."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_from(url: str, part: Path, told: Told) -> None:
    """Brings the file whole, over as many connections as bring some of it. Raises Unavailable."""
    in_vain = 0
    with open(part, "wb") as file:
        for _ in range(MOST):
            before = file.tell()
            try:
                return _append(url, file, told)
            except urllib.error.HTTPError as error:
                error.close()
                raise Unavailable(f"HTTP {error.code} {error.reason}") from None
            except (ConnectionError, TimeoutError, urllib.error.URLError, http.client.HTTPException) as error:
                lost = reason_of(error)
            in_vain = 0 if file.tell() > before else in_vain + 1
            if in_vain == IN_VAIN:
                break
            time.sleep(PAUSE_SECONDS)
        raise Unavailable(f"the connection was lost after {file.tell():,} bytes, and again ({lost})")


def _append(url: str, file: BinaryIO, told: Told) -> None:
    """Adds the rest of the file. Raises what a connection does, and ConnectionError for one that ends too early."""
    headers = {"User-Agent": "ssgan"} | ({"Range": f"bytes={file.tell()}-"} if file.tell() else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                timeout=downloads.STALL_SECONDS) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:  # it sends the file from its beginning
            file.seek(0)
            file.truncate()
        length = int(response.headers.get("Content-Length") or 0)
        total = file.tell() + length if length else 0
        while piece := response.read(PIECE):
            file.write(piece)
            told(file.tell(), total)
        if file.tell() < total:
            raise ConnectionError(f"it ended at {file.tell():,} of {total:,} bytes")
