"""Downloads of one large file from a server on this machine: lost connections are gone on with, nothing is half there.
"""

import hashlib
import http.server
import socket
import threading
import time

import pytest

from ssgan.data import downloads, resumed_download
from ssgan.data.resumed_download import Unavailable, fetch_resumed, sha256_of
from ssgan.errors import Mistake

BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """The first folder of the path says what the mirror does; the probe, which reads nothing, counts as a request."""

    def do_GET(self):
        behaviour, asked = self.path.split("/")[1], self.headers.get("Range")
        self.server.asked.append(asked)
        if behaviour == "missing":
            return self.send_error(404)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and behaviour != "stubborn" else 0
        if behaviour == "gone" and len(self.server.asked) > 2:
            return self.close_connection
        body = BODY[:-1] + b"!" if behaviour == "wrong" else BODY
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        lost = behaviour in ("lost", "stubborn", "gone") and len(self.server.asked) < 4
        try:
            self.wfile.write(body[first: len(body) // 2] if lost else body[first:])
        except ConnectionError:  # the probe does not read on
            pass

    def log_message(self, *args):
        pass


@pytest.fixture
def site(monkeypatch):
    """Server and base address; its mirrors behave as the folder is called."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(resumed_download, "PAUSE_SECONDS", 0.01)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.address = f"http://127.0.0.1:{server.server_port}/"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("behaviour", ["good", "lost", "stubborn"])
def test_a_file_comes_whole_over_lost_connections(site, tmp_path, behaviour):
    told = []
    target = tmp_path / "new" / "weights.pth"
    fetch_resumed([f"{site.address}{behaviour}/weights.pth"], SHA256, target, lambda *how: told.append(how))
    assert [path.name for path in target.parent.iterdir()] == ["weights.pth"] and target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY)) and sha256_of(target) == SHA256
    if behaviour != "good":
        assert f"bytes={len(BODY) // 2}-" in site.asked, "it goes on from where the connection was lost"


@pytest.mark.parametrize(("behaviour", "reason"), [
    ("missing", "HTTP 404"), ("wrong", "sent a damaged file, or another one"),
    ("gone", f"connection was lost after {len(BODY) // 2:,} bytes")])
def test_what_does_not_come_whole_is_told_soon_and_leaves_nothing(site, tmp_path, behaviour, reason):
    began, url = time.monotonic(), f"{site.address}{behaviour}/weights.pth"
    with pytest.raises(Unavailable, match=reason):
        fetch_resumed([url], SHA256, tmp_path / "weights.pth")
    assert not list(tmp_path.iterdir()) and time.monotonic() - began < 10
    fetch_resumed([url, f"{site.address}good/weights.pth"], SHA256, tmp_path / "weights.pth")
    assert (tmp_path / "weights.pth").read_bytes() == BODY


def test_a_server_that_is_not_there_is_told_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/w"
    assert downloads.CONNECT_SECONDS <= 4
    with pytest.raises(Unavailable, match="[Rr]efused"):
        fetch_resumed([closed], SHA256, tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_mistake(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="cannot write"):
        fetch_resumed([f"{site.address}good/w"], SHA256, tmp_path / "file" / "w")
