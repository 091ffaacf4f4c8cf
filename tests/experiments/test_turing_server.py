"""The server of the visual Turing test: whom it answers, what it tells, and what it keeps."""

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread

import numpy as np
import pytest

from ssgan.errors import Mistake
from ssgan.evaluation.turing_test import TuringTest
from ssgan.experiments.report.turing_page import TuringPage
from ssgan.experiments.turing_answers import Answers
from ssgan.experiments.turing_server import TuringServer
from ssgan.tracking.workfolder import WorkFolder


@contextmanager
def served(path, feedback=False, images=6):
    """A server, listening, and the test that it serves."""
    test = TuringTest("a moment", 0, images, None, feedback)
    pixels = np.zeros((images, 1, 2, 2), dtype=np.uint8)
    answers = Answers(WorkFolder.create(path, "a-run"), test)
    with TuringServer(TuringPage(pixels, test.id, "digits", feedback=feedback), answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, method, path, body=None, **headers):
    """Status, headers and what a request brings."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = {"Host": f"127.0.0.1:{server.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
    reply = connection.getresponse()
    content = reply.read().decode()
    connection.close()
    return reply.status, reply.headers, content


def tell(server, what, **body):
    """Status and answer of what the page sends."""
    status, _, content = ask(server, "POST", f"/{server.token}/{what}", json.dumps(body),
                             Origin=f"http://127.0.0.1:{server.port}")
    return status, json.loads(content)


def test_the_page_is_there_for_who_has_the_address_and_may_load_and_tell_nothing_else(tmp_path):
    with served(tmp_path) as server:
        assert server.server_address[0] == "127.0.0.1" and len(server.token) >= 32
        status, headers, page = ask(server, "GET", f"/{server.token}/")
        assert status == 200 and "Real or generated?" in page and headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert "connect-src 'self'" in policy and "unsafe" not in policy
        for path in ("/", "/favicon.ico", f"/{server.token}", f"/{server.token}/answers", f"/{server.token[:-1]}x/",
                     f"/{server.token}/../"):
            assert ask(server, "GET", path)[0] == 404, path
        assert ask(server, "PUT", f"/{server.token}/")[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}"])
def test_a_request_to_another_name_is_refused(tmp_path, host):
    with served(tmp_path) as server:
        status, _, content = ask(server, "GET", f"/{server.token}/", Host=host.format(port=server.port))
        assert status == 403 and "127.0.0.1 alone" in content
        assert ask(server, "GET", f"/{server.token}/", Host=f"localhost:{server.port}")[0] == 200


@pytest.mark.parametrize("origin", [
    None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_another_page_cannot_answer(tmp_path, origin):
    with served(tmp_path) as server:
        body = json.dumps({"name": "Ann", "number": 0, "kind": "r"})
        status, _, content = ask(server, "POST", f"/{server.token}/answer", body,
                                 Origin=origin and origin.format(port=server.port))
        assert status == 403 and "another page" in content and server.answers.people == {}


@pytest.mark.parametrize("body", [
    {}, {"name": "Ann"}, {"name": "  \n", "number": 0, "kind": "r"}, {"name": 3, "number": 0, "kind": "r"},
    {"name": "Ann", "number": 6, "kind": "r"}, {"name": "Ann", "number": -1, "kind": "r"},
    {"name": "Ann", "number": True, "kind": "r"}, {"name": "Ann", "number": 0, "kind": "-"},
    {"name": "Ann", "number": 0, "kind": ["r"]}])
def test_what_is_no_answer_is_told_so(tmp_path, body):
    with served(tmp_path) as server:
        status, found = tell(server, "answer", **body)
        assert status == 400 and len(found["error"].splitlines()) == 1 and server.answers.people == {}


def test_what_is_no_request_is_told_so_and_the_next_one_is_answered(tmp_path):
    with served(tmp_path) as server:
        path, origin = f"/{server.token}/begin", {"Origin": f"http://127.0.0.1:{server.port}"}
        for body, headers in (("no JSON", {}), ("[1]", {}), ("[" * 4000, {}), ("x" * 5000, {}),
                              ("{}", {"Content_Length": "many"}), ("{}", {"Content_Length": "-1"})):
            assert ask(server, "POST", path, body, **origin, **headers)[0] == 400
        with socket.create_connection(("127.0.0.1", server.port)) as broken:
            broken.sendall(b"POST /")  # and goes away
        assert tell(server, "begin", name="Ann") == (200, {"name": "Ann", "answers": "------"})


def test_without_feedback_nothing_is_told_before_the_end(tmp_path):
    with served(tmp_path) as server:
        for number in range(5):
            assert tell(server, "answer", name="Ann", number=number, kind="r") == (200, {})
        assert tell(server, "begin", name=" Ann\t") == (200, {"name": "Ann", "answers": "rrrrr-"})
        status, found = tell(server, "answer", name="Ann", number=5, kind="r")
        assert status == 200 and list(found) == ["lines"] and found["lines"][0].startswith("All images: 3 of 6 right")
        assert tell(server, "begin", name="Ann")[1]["lines"] == found["lines"]


def test_with_feedback_each_answer_is_told_what_it_was(tmp_path):
    with served(tmp_path, feedback=True) as server:
        told = [tell(server, "answer", name="Ann", number=number, kind="g")[1]["truth"] for number in range(6)]
        assert "".join(told) == server.answers.test.truth()


def test_an_image_is_answered_once_and_each_person_has_their_own(tmp_path):
    with served(tmp_path) as server:
        assert tell(server, "answer", name="Ann", number=2, kind="r")[0] == 200
        for kind in "rg":
            status, found = tell(server, "answer", name="Ann", number=2, kind=kind)
            assert status == 409 and "answered image 3 already; the first answer stands" in found["error"]
        assert tell(server, "answer", name="Bob", number=2, kind="g")[0] == 200
        assert server.answers.people == {"Ann": "--r---", "Bob": "--g---"}
    assert Answers(WorkFolder(tmp_path / "a-run"), server.answers.test).people == server.answers.people


def test_people_may_answer_at_once(tmp_path):
    with served(tmp_path) as server:
        people = [f"person {number}" for number in range(4)]
        jobs = [(person, number) for number in range(6) for person in people]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda job: tell(server, "answer", name=job[0], number=job[1], kind="r")[0], jobs))
        assert set(found) == {200} and server.answers.people == dict.fromkeys(people, "r" * 6)


def test_a_full_disk_is_told_and_the_answer_is_not_taken(tmp_path, monkeypatch):
    def full(path, text):
        raise Mistake("cannot write: No space left on device.")

    with served(tmp_path) as server:
        monkeypatch.setattr("ssgan.experiments.turing_answers.write_text", full)
        status, found = tell(server, "answer", name="Ann", number=0, kind="r")
        assert status == 500 and "No space left" in found["error"] and server.answers.people == {}


def test_a_port_that_is_taken_is_a_mistake(tmp_path):
    with served(tmp_path) as server:
        page = TuringPage(np.zeros((2, 1, 2, 2), dtype=np.uint8), "id", "digits")
        with pytest.raises(Mistake, match=f"--port {server.port}: .*--port 0"):
            TuringServer(page, server.answers, server.port)
