"""The short way of predictions over HTTP: every unusual request gets the same answer as ever."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from email.utils import parsedate_to_datetime

import pytest

from . import models
from .support import running, until

BODY = b'{"features":[1,2,3]}'
# As Java's HttpClient offers it with the first request of every connection.
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fast"), models.linear(), deadline_ms=600) as process:
        yield process


def post(body=BODY, path=b"/predict", version=b"1.1", extra=b""):
    return (
        b"POST " + path + b" HTTP/" + version + b"\r\nHost: x\r\n" + extra
        + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip


class Wire:
    """A connection whose answers are read one by one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.partition(b": ")
            headers[name.decode()] = value.decode()
        return status, headers, json.loads(self.file.read(int(headers["content-length"])))

    def closed(self):
        return self.file.read(1) == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server):
    with Wire(server.port) as wire:
        yield wire


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(),
        post(path=b"/predict?x=1"),
        post(path=b"/predict/m"),
        post(path=b"/%70redict"),
        post(extra=b"Expect: nothing\r\n"),
        b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + BODY + b"\r\n0\r\n\r\n",
        post(extra=H2C),
        b"POST /predict HTTP/1.1\r\n"
        + H2C
        + b"Transfer-Encoding: chunked\r\n\r\n14\r\n"
        + BODY
        + b"\r\n0\r\n\r\n",
    ],
)
def test_every_spelling_of_a_prediction_is_answered_on_a_connection_that_stays(wire, request_bytes):
    for _ in range(2):
        wire.send(request_bytes)
        status, _, answer = wire.answer()
        assert (status, answer["prediction"]) == (200, 14.5)


def test_pipelined_requests_are_answered_in_order(wire):
    bodies = [b'{"features":[%d,0,0],"id":"%d"}' % (number, number) for number in range(20)]
    wire.send(b"".join(post(body) for body in bodies))
    assert [wire.answer()[2]["id"] for _ in bodies] == [str(number) for number in range(20)]


def test_a_body_in_pieces_is_put_together(wire):
    whole = post()
    for at in range(0, len(whole), 7):
        wire.send(whole[at : at + 7])
    assert wire.answer()[2]["prediction"] == 14.5


def test_an_answer_says_when_it_was_made(wire):
    wire.send(post())
    age = time.time() - parsedate_to_datetime(wire.answer()[1]["date"]).timestamp()
    assert 0 <= age < 60


def test_a_body_that_never_ends_is_answered_at_the_deadline_and_the_connection_closes(wire):
    wire.send(post()[:-3])
    status, headers, answer = wire.answer()
    assert (status, answer["error"]) == (504, "the body was not complete before the deadline")
    assert wire.closed()
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("unusual", [post(version=b"1.0"), post(extra=b"Connection: close\r\n")])
def test_a_client_that_wants_to_close_is_closed(wire, unusual):
    wire.send(unusual)
    assert wire.answer()[0] == 200
    assert wire.closed()


def test_only_a_connection_that_is_idle_for_its_time_is_closed(tmp_path):
    with running(tmp_path, models.linear(), keep_alive_seconds=1) as process, Wire(process.port) as wire:
        for _ in range(3):
            wire.send(post())
            assert wire.answer()[0] == 200
            time.sleep(0.6)
        wire.send(post()[:20])
        time.sleep(0.8)  # a request that has begun has its own time
        wire.send(post()[20:])
        assert wire.answer()[0] == 200
        assert wire.closed()


def test_the_rest_of_a_refused_body_does_not_disturb_the_next_request(wire):
    wire.send(b"POST /predict HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 1000)
    status, _, answer = wire.answer()
    assert (status, answer["error"]) == (413, "the body has 20000000 bytes, the limit is 16777216")
    wire.send(b"x" * (20_000_000 - 1000) + post())
    assert wire.answer()[0] == 200


def test_clients_that_leave_are_counted_and_leave_nothing_behind(server):
    def rejected():
        lines = server.get("/metrics").body.decode().splitlines()
        found = next(line for line in lines if "model_predictions_total{" in line and "rejected" in line)
        return float(found.rsplit(" ", 1)[1])

    before = rejected()
    for _ in range(5):
        with Wire(server.port) as wire:
            wire.send(post()[:-3])
    assert until(lambda: rejected() == before + 5, 10)
    with Wire(server.port) as wire:
        wire.send(post())
    assert server.predict([1, 2, 3]).status == 200


def test_an_unusable_request_id_is_not_echoed(wire):
    wire.send(post(extra=b"X-Request-Id: a b\r\n"))
    assert "x-request-id" not in wire.answer()[1]
    wire.send(post(extra=b"X-Request-Id: a-b\r\n"))
    assert wire.answer()[1]["x-request-id"] == "a-b"


def test_a_head_that_does_not_end_in_time_is_refused_and_so_is_one_that_never_begins(tmp_path):
    with running(tmp_path, models.linear(), keep_alive_seconds=1) as process:
        with Wire(process.port) as drip, Wire(process.port) as silent, Wire(process.port) as newlines:
            for byte in post()[:8]:
                drip.send(bytes([byte]))
                newlines.send(b"\r\n")
                time.sleep(0.05)
            status, _, answer = drip.answer()
            assert (status, answer["error"]) == (408, "the head was not complete after 1 s")
            assert drip.closed()
            assert silent.closed()
            assert newlines.answer()[0] == 408
        assert process.predict([1, 2, 3]).status == 200


@pytest.mark.parametrize(
    "flood",
    [
        b"POST /predict HTTP/1.1\r\n" + b"A: b\r\n" * 200_000,
        b"POST /predict HTTP/1.1\r\nA: " + b"b" * 1_000_000,
        b"POST /" + b"b" * 1_000_000,
        b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
        + b"A: b\r\n" * 200_000,
    ],
)
def test_headers_without_end_are_refused_before_they_fill_the_memory(wire, flood):
    with contextlib.suppress(ConnectionError):  # it closes while we are still sending
        wire.send(flood)
        status, _, answer = wire.answer()
        assert (status, answer["error"]) == (431, "the head of the request is larger than 65536 bytes")


def test_a_client_that_reads_no_answers_is_not_read_either_and_then_let_go(tmp_path):
    body = json.dumps({"features": [1, 2, 3], "id": "x" * 100_000}).encode()
    limits = {"keep_alive_seconds": 1, "deadline_ms": 500}
    with running(tmp_path, models.linear(), **limits) as process, Wire(process.port) as wire:
        wire.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 800:
                wire.send(post(body))
                sent += 1
        # What both kernels buffer, and a little more.
        assert 0 < sent < 800
        wire.socket.settimeout(10)
        with pytest.raises(ConnectionError):
            while True:
                time.sleep(0.1)
                wire.send(b"x")


@pytest.mark.parametrize("extra", [b"Content-Encoding: gzip\r\n", b"Expect: 100-continue\r\n", b""])
def test_a_body_that_never_begins_is_answered_at_the_deadline(wire, extra):
    wire.send(b"POST /predict HTTP/1.1\r\n" + extra + b"Content-Length: 9\r\n\r\n")
    if b"Expect" in extra:
        assert wire.file.readline().startswith(b"HTTP/1.1 100")
        wire.file.readline()
    assert wire.answer()[0] == 504
    assert wire.closed()


def test_who_offers_another_protocol_is_answered_in_this_one_however_the_bytes_come(wire):
    for part in (post(extra=H2C)[at : at + 9] for at in range(0, len(post(extra=H2C)), 9)):
        wire.send(part)
        time.sleep(0.001)
    assert wire.answer()[2]["prediction"] == 14.5
    wire.send(post(extra=H2C) * 3 + b"GET /health HTTP/1.1\r\n" + H2C + b"\r\n" + post())
    assert [wire.answer()[0] for _ in range(5)] == [200] * 5
    wire.send(post(b'{"features":[1,2,"x"]}', extra=H2C))
    assert wire.answer()[2]["field"] == "features[2]"
    wire.send(post(extra=H2C.replace(b"Upgrade,", b"close, Upgrade,")))
    assert wire.answer()[2]["prediction"] == 14.5
    assert wire.closed()
