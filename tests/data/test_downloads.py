"""Downloads from a server on this machine: whole or not at all, over mirrors, and soon given up."""

import contextlib
import hashlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torchvision.datasets

from ssgan.data import downloads
from ssgan.data.downloads import Unavailable, fetch
from ssgan.errors import Mistake

BODY = bytes(range(256)) * 2000
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """The first folder of the path says what the mirror does."""

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        if behaviour == "missing":
            return self.send_error(404)
        self.send_response(200)
        if behaviour != "unsized":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if behaviour == "truncated":
            self.wfile.write(BODY[: len(BODY) // 2])
        elif behaviour == "wrong":
            self.wfile.write(BODY[:-1] + b"!")
        elif behaviour == "stalled":
            self.wfile.write(BODY[:1000])
            self.server.released.wait(20)
        else:
            self.wfile.write(BODY)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site():
    """Base address of a server whose mirrors behave as the folder is called."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def silent():
    """The address of a host that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("behaviour", ["good", "unsized"])
def test_a_file_is_downloaded_to_a_new_folder(site, tmp_path, capfd, behaviour):
    folder = tmp_path / "MNIST" / "raw"
    fetch([f"{site}{behaviour}/file.gz"], MD5, folder / "file.gz")
    assert [path.name for path in folder.iterdir()] == ["file.gz"] and (folder / "file.gz").read_bytes() == BODY
    out, err = capfd.readouterr()
    assert out == "" and err == f"downloading file.gz from {site.split('/')[2]}\n"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "HTTP 404"),
        ("wrong", "sent a damaged file"),
        ("truncated", "sent a damaged file"),
        ("stalled", "went silent for 0.3 seconds"),
    ],
)
def test_a_bad_mirror_is_passed_over_and_alone_leaves_nothing(site, tmp_path, monkeypatch, behaviour, reason):
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.3)
    url = f"{site}{behaviour}/file.gz"
    with pytest.raises(Unavailable, match=reason):
        fetch([url], MD5, tmp_path / "file.gz")
    assert not list(tmp_path.iterdir())
    fetch([url, f"{site}good/file.gz"], MD5, tmp_path / "file.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"] and (tmp_path / "file.gz").read_bytes() == BODY


def test_every_mirror_s_reason_is_told(site, tmp_path, closed_port):
    with pytest.raises(Unavailable, match=r"127.0.0.1:\d+: HTTP 404 Not Found; 127.0.0.1:\d+: .*[Rr]efused"):
        fetch([f"{site}missing/file.gz", closed_port], MD5, tmp_path / "new" / "file.gz")
    assert not (tmp_path / "new").exists()


def test_silent_hosts_are_given_up_within_the_limit_for_all_together(silent, tmp_path, monkeypatch):
    assert downloads.CONNECT_SECONDS <= 4
    monkeypatch.setattr(downloads, "CONNECT_SECONDS", 0.6)
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="no answer within 0.2 seconds"):
        fetch([silent] * 3, MD5, tmp_path / "file.gz")
    assert 0.5 < time.perf_counter() - started < 2


def test_a_slow_name_look_up_counts_too(tmp_path, monkeypatch):
    released = threading.Event()

    def getaddrinfo(*args, **kwargs):
        released.wait(10)
        raise socket.gaierror("no name server")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(downloads, "CONNECT_SECONDS", 0.2)
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="no answer within"):
        fetch(["http://mirror.invalid/file.gz"], MD5, tmp_path / "file.gz")
    assert time.perf_counter() - started < 2
    released.set()


def test_a_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="(?s)cannot be written.*--data-dir"):
        fetch([f"{site}good/file.gz"], MD5, tmp_path / "file" / "raw" / "file.gz")


def test_a_folder_that_cannot_be_written(site, tmp_path):
    if os.geteuid() == 0:  # who may write everywhere but where the kernel writes
        folder = "/proc/self/ssgan"
    else:
        tmp_path.chmod(0o500)
        folder = tmp_path / "raw"
    with pytest.raises(Mistake, match="(?s)data folder .* cannot be written.*--data-dir"):
        fetch([f"{site}good/file.gz"], MD5, Path(folder, "file.gz"))


def test_a_full_disk_is_told_and_leaves_nothing(site, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.os, "replace", full)
    with pytest.raises(Mistake, match="No space left"):
        fetch([f"{site}good/file.gz"], MD5, tmp_path / "file.gz")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_while_it_is_written_is_told_as_such(site, tmp_path, monkeypatch):
    """Writing to an open file names no file in its error, as the network's errors do not."""

    def full(url, folder, name, md5):
        Path(folder, name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", full)
    with pytest.raises(Mistake, match="(?s)No space left.*--data-dir"):
        fetch([f"{site}good/file.gz"], MD5, tmp_path / "file.gz")
    assert not list(tmp_path.iterdir())


def test_the_process_is_left_as_it_was(site, tmp_path, monkeypatch):
    stderr, seen = sys.stderr, []
    download_url = torchvision.datasets.utils.download_url

    def watched(*args):
        seen.append(socket.getdefaulttimeout())
        download_url(*args)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", watched)
    for behaviour in ("wrong", "good"):
        with contextlib.suppress(Unavailable):
            fetch([f"{site}{behaviour}/file.gz"], MD5, tmp_path / "file.gz")
        assert socket.getdefaulttimeout() is None and sys.stderr is stderr
    assert seen == [downloads.STALL_SECONDS] * 2


def test_many_at_once_do_not_hurt_each_other(site, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        urls = [f"{site}{behaviour}/file.gz" for behaviour in ("wrong", "good")]
        list(pool.map(lambda _: fetch(urls, MD5, tmp_path / "file.gz"), range(8)))
    assert list(tmp_path.iterdir()) == [tmp_path / "file.gz"] and (tmp_path / "file.gz").read_bytes() == BODY
    assert socket.getdefaulttimeout() is None


@pytest.mark.slow
def test_two_processes_at_once_both_have_the_file(site, tmp_path):
    command = [sys.executable, "-c", FETCH, f"{site}good/file.gz", MD5, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert list(tmp_path.iterdir()) == [tmp_path / "file.gz"] and (tmp_path / "file.gz").read_bytes() == BODY


FETCH = """
import sys
from pathlib import Path
from ssgan.data.downloads import fetch
fetch([sys.argv[1]], sys.argv[2], Path(sys.argv[3], "file.gz"))
"""


def test_a_killed_download_is_never_taken_for_whole(site, tmp_path):
    command = [sys.executable, "-c", FETCH, f"{site}stalled/file.gz", MD5, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("file.gz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left, = tmp_path.iterdir()
    assert left.is_dir() and left.name.startswith(".file.gz.") and left.suffix == ".tmp"
    fetch([f"{site}good/file.gz"], MD5, tmp_path / "file.gz")
    assert (tmp_path / "file.gz").read_bytes() == BODY


@pytest.mark.slow
def test_on_a_terminal_there_is_a_bar(site, tmp_path):
    screen, terminal = os.openpty()
    termios.tcsetwinsize(screen, (24, 100))
    command = [sys.executable, "-c", FETCH, f"{site}good/file.gz", MD5, str(tmp_path)]
    subprocess.run(command, stderr=terminal, check=True)
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(screen, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(screen)
    line, bar = shown.split(b"\n", 1)
    assert line.startswith(b"downloading file.gz from 127.0.0.1") and b"100" in bar and bar.count(b"\r") > 1
    assert shown.endswith(b"\n")
