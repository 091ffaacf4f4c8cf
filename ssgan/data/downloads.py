"""Downloads of single files: over mirrors, checked, and never half in place."""

import hashlib
import http.client
import os
import secrets
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from ssgan.errors import Mistake

CONNECT_SECONDS = 3.0  # to a first answer, over all mirrors of a file
STALL_SECONDS = 20.0  # of silence in the middle of a file
CHUNK_BYTES = 1 << 16


class Unavailable(Exception):
    """No mirror gave the file whole; the text says for each of them why."""


def fetch(mirrors: Sequence[str], name: str, md5: str, folder: Path) -> Path:
    """The path of `name` in `folder`, downloaded from the first mirror that gives it with this MD5.

    Raises Unavailable when no mirror does, Mistake when the folder cannot be written. The file appears there whole or not
    at all, so a killed download leaves only a `.part` file, and two processes may fetch the same file at once.
    """
    _check_writable(folder)
    reasons = []
    for mirror in mirrors:
        try:
            return _fetch_from(mirror + name, md5, folder / name, CONNECT_SECONDS / len(mirrors))
        except Unavailable as error:
            reasons.append(f"{urllib.parse.urlsplit(mirror).netloc}: {error}")
    raise Unavailable("; ".join(reasons))


def _check_writable(folder: Path) -> None:
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.exists(place))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise _unwritable(folder, f"{there} is not a folder that you may write")


def _unwritable(folder: Path, found: object) -> Mistake:
    return Mistake(f"the data folder {folder} cannot be written: {found}.\nChoose another with --data-dir or SSGAN_DATA_DIR.")


def _fetch_from(url: str, md5: str, target: Path, seconds: float) -> Path:
    with _answer(url, seconds) as response:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(response, md5, target)
        except OSError as error:  # the network's own are Unavailable by now
            raise _unwritable(target.parent, error) from None
    return target


def _write(response: http.client.HTTPResponse, md5: str, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            found = _copy(response, file, target.name)
        if found != md5:
            raise Unavailable(f"sent a file with MD5 {found}, not {md5}")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _answer(url: str, seconds: float) -> http.client.HTTPResponse:
    """The response of a URL that comes within so many seconds.

    It is asked for in a thread, because urllib's own timeout covers neither the name look-up nor the sum over a host's addresses.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "ssgan"})
    future: Future[http.client.HTTPResponse] = Future()

    def ask():
        try:
            future.set_result(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:  # handed to the caller by the future
            future.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return future.result(seconds)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unavailable(f"HTTP {error.code} {error.reason}") from None
    except TimeoutError:
        future.add_done_callback(_close)
        raise Unavailable(f"no answer within {seconds:g} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(_reason(error)) from None


def _close(future: Future) -> None:
    late = future.exception() or future.result()
    if hasattr(late, "close"):  # a response, or an HTTPError, which is one too
        late.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__


def _copy(response: http.client.HTTPResponse, file, name: str) -> str:
    """The MD5 of a response's body, written to the file."""
    digest = hashlib.md5(usedforsecurity=False)
    host = urllib.parse.urlsplit(response.url).netloc
    total = response.length  # bytes, None when the server does not say
    done = 0
    with _progress(name, host, total) as advance:
        for chunk in _chunks(response):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            advance(len(chunk))
    if total is not None and done != total:
        raise Unavailable(f"ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK_BYTES):
            yield chunk
    except TimeoutError:
        raise Unavailable(f"went silent for {STALL_SECONDS:g} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(_reason(error)) from None


@contextmanager
def _progress(name: str, host: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal, else one plain line; yields a function that takes the bytes of a step."""
    if not sys.stderr.isatty():
        size = "" if total is None else f" ({total:,} bytes)"
        print(f"downloading {name}{size} from {host}", file=sys.stderr, flush=True)
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda count: progress.update(task, advance=count)
