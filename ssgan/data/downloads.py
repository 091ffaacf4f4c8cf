"""Downloads of single files by torchvision: soon given up where nobody answers, and never half in place."""

import errno
import http.client
import io
import os
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext, redirect_stderr
from pathlib import Path

from ssgan.errors import Mistake

CONNECT_SECONDS = 3.0  # to a first answer, over all addresses of a file
STALL_SECONDS = 20.0  # of silence in the middle of a file
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of writing to an open file; other errors of files name it
ONE_AT_A_TIME = threading.Lock()  # sockets' timeout and stderr are the whole process's


class Unavailable(Exception):
    """No address gave the file whole; the text says for each of them why."""


def fetch(urls: Sequence[str], md5: str, target: Path) -> None:
    """Downloads a file of this MD5 to `target` from the first address that gives it.

    Raises Unavailable where none does, Mistake where the folder cannot be written. The file is written in a hidden
    folder beside `target` and moved: a killed download leaves that folder alone, and two processes may fetch one file.
    """
    reasons = []
    for url in urls:
        try:
            probe(url, CONNECT_SECONDS / len(urls))
            with ONE_AT_A_TIME:
                return _fetch_from(url, md5, target)
        except Unavailable as error:
            reasons.append(f"{urllib.parse.urlsplit(url).netloc}: {error}")
    raise Unavailable("; ".join(reasons))


def probe(url: str, seconds: float) -> None:
    """Raises Unavailable where an address gives no answer within so many seconds, or a refusal.

    It is asked in a thread, because no timeout of urllib's covers the name look-up, and torchvision sets none at all.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "ssgan"})
    future: Future[None] = Future()

    def ask():
        try:
            urllib.request.urlopen(request, timeout=STALL_SECONDS).close()
            future.set_result(None)
        except Exception as error:  # handed to the caller by the future
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            future.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        future.result(seconds)
    except urllib.error.HTTPError as error:
        raise Unavailable(f"HTTP {error.code} {error.reason}") from None
    except TimeoutError:
        raise Unavailable(f"no answer within {seconds:g} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(reason_of(error)) from None


def _fetch_from(url: str, md5: str, target: Path) -> None:
    from torchvision.datasets.utils import download_url

    print(f"downloading {target.name} from {urllib.parse.urlsplit(url).netloc}", file=sys.stderr, flush=True)
    # torchvision's bar is for a terminal: elsewhere each of its steps would be a line.
    bar = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # torchvision opens its connections without one
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as folder:
            with bar:
                download_url(url, folder, target.name, md5)
            os.replace(Path(folder, target.name), target)
    except TimeoutError:
        raise Unavailable(f"went silent for {STALL_SECONDS:g} seconds") from None
    except RuntimeError:  # another MD5, which a file cut short has too, or a chain of redirections
        raise Unavailable("sent a damaged file, or another one") from None
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise Unavailable(reason_of(error)) from None
    except OSError as error:
        if not error.filename and error.errno not in DISK:
            raise Unavailable(reason_of(error)) from None
        raise Mistake(f"the data folder {target.parent} cannot be written: {error}.\n"
                      f"Choose another with --data-dir or SSGAN_DATA_DIR.") from None
    finally:
        socket.setdefaulttimeout(timeout)


def reason_of(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__
