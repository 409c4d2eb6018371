"""The access log: what stands in a line, what never does, and that it cannot hold anything up."""

from __future__ import annotations

import asyncio
import io
import json
from time import perf_counter

import pytest

from deploy.serving import access_log
from deploy.serving.access_log import AccessLog
from deploy.serving.messages import Request, trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def request(**headers):
    names = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request(
        "POST", "/predict", names, b'{"features":[12345.678]}', perf_counter(), client="shop", rows=1
    )


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_line_tells_who_what_and_how_long_but_not_the_inputs():
    stream = io.BytesIO()
    log = AccessLog(stream, {"endpoint": "e", "model": "m", "model_version": "3"})
    asked = request(x_request_id="r1", traceparent=f"00-{TRACE}-{SPAN}-01")
    asked.queued, asked.computed = 0.001, 0.002
    log.record(asked, 200, "ok")
    log.close()
    (line,) = lines(stream)
    assert line["total_ms"] >= 0
    assert abs(line.pop("time") - 1.7e9) < 1e9
    del line["total_ms"]
    assert line == {
        "endpoint": "e", "model": "m", "model_version": "3", "path": "/predict", "status": 200,
        "outcome": "ok", "rows": 1, "input_hash": line["input_hash"], "queue_ms": 1.0, "compute_ms": 2.0,
        "request_id": "r1", "trace_id": TRACE, "parent_span_id": SPAN, "client": "shop",
    }  # fmt: skip
    assert b"12345" not in stream.getvalue()


async def test_an_id_that_comes_back_to_nobody_stands_in_no_line():
    stream = io.BytesIO()
    log = AccessLog(stream, {})
    for identity in ("x" * 129, "two words"):
        log.record(request(x_request_id=identity), 200, "ok")
    log.close()
    assert not any("request_id" in line for line in lines(stream))


async def test_equal_inputs_have_equal_hashes():
    stream = io.BytesIO()
    log = AccessLog(stream, {})
    other = request()
    other.body = b"{}"
    for asked in (request(), request(), other):
        log.record(asked, 200, "ok")
    log.close()
    first, second, third = (line["input_hash"] for line in lines(stream))
    assert first == second != third


async def test_lines_are_written_without_being_asked_for():
    stream = io.BytesIO()
    log = AccessLog(stream, {})
    log.record(request(), 200, "ok")
    async with asyncio.timeout(5):
        while not stream.getvalue():
            await asyncio.sleep(0.01)


async def test_beyond_the_buffer_lines_are_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(access_log, "MOST_LINES", 2)
    stream = io.BytesIO()
    log = AccessLog(stream, {})
    for _ in range(5):
        log.record(request(), 200, "ok")
    log.close()
    assert [line.get("dropped_lines") for line in lines(stream)] == [None, None, 3]


async def test_a_closed_stdout_is_no_reason_to_fail():
    stream = io.BytesIO()
    stream.close()
    log = AccessLog(stream, {})
    log.record(request(), 200, "ok")
    log.close()


@pytest.mark.parametrize(
    "value",
    [b"", b"00-" + b"0" * 32 + b"-" + SPAN.encode() + b"-01", b"ff-" + TRACE.encode() + b"-" + SPAN.encode() + b"-01",
     b"00-" + TRACE.upper().encode() + b"-" + SPAN.encode() + b"-01", b"00-abc-def-01"],
)  # fmt: skip
def test_an_invalid_trace_context_is_ignored(value):
    assert trace_context({b"traceparent": value}) is None
