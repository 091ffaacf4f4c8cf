"""The server of a visual Turing test: one page on 127.0.0.1, for whoever has its address."""

import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ssgan.errors import Mistake
from ssgan.evaluation.turing_test import GENERATED, NONE, REAL
from ssgan.experiments.report.turing_page import TuringPage
from ssgan.experiments.turing_answer_file import LONGEST_NAME, tidy_name
from ssgan.experiments.turing_answers import Answers, Twice

HOST = "127.0.0.1"
LONGEST_BODY = 4096  # bytes
PATIENCE_SECONDS = 20  # with a caller that says nothing


class Refused(Exception):
    """What is not answered: the status, and one line that says why."""

    def __init__(self, status: HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


class TuringServer(ThreadingHTTPServer):
    """Serves the page at `address`, which holds a token that nobody can guess, and notes the answers.

    It listens on 127.0.0.1 alone, and refuses what was sent to another name or comes from another page. Raises Mistake
    for a port that is taken.
    """

    daemon_threads = True
    # a port in use is in use, also where the system would let two share it
    allow_reuse_port = False

    def __init__(self, page: TuringPage, answers: Answers, port: int = 0):
        self.answers, self.feedback = answers, page.feedback
        self.token = secrets.token_urlsafe(24)
        self.html, self.policy = page.served()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise Mistake(f"--port {port}: {error.strerror or error}; try another, or --port 0 for a free "
                          f"one.") from None

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self.server_address[1]

    @property
    def address(self) -> str:
        """What a person opens in a browser on this machine."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def server_bind(self) -> None:
        """Without asking any name server for this machine's name, as http.server does."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request, client_address) -> None:
        """A caller that goes away in the middle is no fault."""


class _Handler(BaseHTTPRequestHandler):
    server: TuringServer
    server_version, sys_version, timeout = "ssgan", "", PATIENCE_SECONDS

    def do_GET(self) -> None:
        """The page."""
        try:
            self._admit("")
        except Refused as refused:
            self._refuse(refused)
            return
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.html.encode())

    def do_POST(self) -> None:
        """begin {name} or answer {name, number, kind}, both in JSON."""
        try:
            what = self.path.rpartition("/")[2]
            if what not in ("begin", "answer"):
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
            self._admit(what)
            body = self._body()
            found = self._begin(body) if what == "begin" else self._answer(body)
        except Refused as refused:
            self._refuse(refused)
        except Twice as twice:
            self._refuse(Refused(HTTPStatus.CONFLICT, str(twice)))
        except Mistake as mistake:  # the disk is full, say
            self._refuse(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, str(mistake)))
        else:
            self._send(HTTPStatus.OK, "application/json", json.dumps(found).encode())

    def log_message(self, *_) -> None:
        """Nothing: stderr is the person's."""

    def _admit(self, what: str) -> None:
        """Raises Refused for who does not know the address, who reached us by another name (DNS rebinding), and for
        another page's request.
        """
        hosts = [f"{name}:{self.server.port}" for name in (HOST, "localhost")]
        if self.headers.get_all("Host", []) not in ([host] for host in hosts):
            raise Refused(HTTPStatus.FORBIDDEN, "this server answers on 127.0.0.1 alone")
        origin = self.headers.get("Origin")
        if origin not in [f"http://{host}" for host in hosts] and (origin is not None or what):
            raise Refused(HTTPStatus.FORBIDDEN, "another page may not answer here")
        if not secrets.compare_digest(self.path.encode(), f"/{self.server.token}/{what}".encode()):
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            raise Refused(HTTPStatus.BAD_REQUEST, f"a request has 0 to {LONGEST_BODY} bytes, and says how many")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "no JSON object")
        return body

    def _begin(self, body: dict[str, Any]) -> dict[str, Any]:
        name = self._name(body)
        given = self.server.answers.of(name)
        return {"name": name, "answers": given} | self._lines(given)

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        name, number, kind = self._name(body), body.get("number"), body.get("kind")
        images = self.server.answers.test.images
        if kind not in (REAL, GENERATED) or type(number) is not int or not 0 <= number < images:
            raise Refused(HTTPStatus.BAD_REQUEST, f"an answer is a number from 0 to {images - 1}, and r or g")
        truth = self.server.answers.answer(name, number, kind)
        told = {"truth": truth} if self.server.feedback else {}
        return told | self._lines(self.server.answers.of(name))

    def _lines(self, given: str) -> dict[str, Any]:
        """How many were right, as soon as all images are answered."""
        return {} if NONE in given else {"lines": self.server.answers.test.tally(given).lines()}

    def _name(self, body: dict[str, Any]) -> str:
        name = body.get("name")
        name = tidy_name(name) if isinstance(name, str) else ""
        if not name:
            raise Refused(HTTPStatus.BAD_REQUEST, f"Type a name, of up to {LONGEST_NAME} signs.")
        return name

    def _refuse(self, refused: Refused) -> None:
        self._send(refused.status, "application/json", json.dumps({"error": str(refused)}).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(content))),
                            ("Content-Security-Policy", f"{self.server.policy}; frame-ancestors 'none'"),
                            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"),
                            ("Cache-Control", "no-store"), ("Cross-Origin-Resource-Policy", "same-origin")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
