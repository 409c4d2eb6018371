"""Predictions on a shorter way through uvicorn: no task, no ASGI messages, one write per answer.

uvicorn's httptools protocol parses, keeps connections alive, queues pipelined requests and shuts down. For
a prediction whose headers say that nothing unusual is coming, an `Exchange` takes the place of its
request-response cycle. Everything else goes the usual way, through `asgi.py`.
Why: docs/decisions/0004-uvicorn-with-a-short-way-for-predictions.md.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .admission import Admission
from .call import Call
from .connection import Connection
from .encoding import compress
from .errors import DeadlineExceeded, Malformed, ServingError, TooLarge
from .messages import Request, Response
from .service import Route, Service

_UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
_HEADS = {
    status: line + b"content-type: " for status, line in STATUS_LINE.items() if status not in (100, 101)
}


class Exchange(Call):
    """One prediction on its connection. The names without documentation are those uvicorn looks for."""

    __slots__ = ("protocol", "parts", "timer",
                 "response_complete", "disconnected", "keep_alive", "message_event")  # fmt: skip

    def __init__(self, protocol: Protocol, admission: Admission, route: Route, request: Request) -> None:
        super().__init__(admission, route.slot, route.wire, request)
        self.protocol = protocol
        self.parts: list[bytes] = []
        self.timer: asyncio.TimerHandle | None = None
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = _NOBODY

    def receive(self, part: bytes) -> None:
        """Take a part of the body."""
        if self.answered:
            return
        self.parts.append(part)
        try:
            self.admission.take(self.request, len(part))
        except ServingError as error:
            self.parts.clear()
            self.fail(error)

    def complete(self) -> None:
        """The body is there."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.answered:
            return
        parts = self.parts
        self.request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.begin()

    def wait_for_body(self, seconds: float) -> None:
        """The body comes in pieces: give it a time."""
        if self.timer is None and not self.answered:
            loop = asyncio.get_running_loop()
            self.timer = loop.call_later(seconds, self._body_is_late)

    def lose(self) -> None:
        """The client has gone; if the body never came, nobody will answer."""
        self.disconnected = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.fail(Malformed("the client went away before the body was complete"))

    def _body_is_late(self) -> None:
        self.timer = None
        self.keep_alive = False
        self.fail(DeadlineExceeded("the body was not complete before the deadline"))

    def deliver(self, response: Response) -> None:
        protocol = self.protocol
        self.response_complete = True
        if protocol.cycle is self:  # type: ignore[comparison-overlap]
            # Else an idle connection would keep its last body, and a closed one until the next collection.
            protocol.cycle = None  # type: ignore[assignment]
        if self.disconnected or protocol.transport.is_closing():
            return
        if least := self.admission.options.compress_bytes:
            compress(self.request, response, least)
        body = response.body
        head = b"%s%s\r\ncontent-length: %d\r\n" % (_HEADS[response.status], response.content_type, len(body))
        # The defaults are the date, which uvicorn keeps.
        for name, value in protocol.server_state.default_headers + response.headers:
            head += b"%s: %s\r\n" % (name, value)
            if name == b"connection":
                self.keep_alive = False
        protocol.transport.write(head + b"\r\n" + body)
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_exchange_complete()


class _Nobody:
    """Nobody waits for messages of an exchange."""

    def set(self) -> None:
        pass


_NOBODY: Any = _Nobody()


class Protocol(Connection):
    """Hands plain predictions to the service directly."""

    service: Service
    admission: Admission
    exchange: Exchange | None = None

    def on_message_begin(self) -> None:
        # uvicorn's scope is built when it is known that somebody wants it.
        self.idle_since = self.loop.time()
        self.url = b""
        self.headers = []
        self.exchange = None

    def on_headers_complete(self) -> None:
        route = self.service.fast.get(self.url)
        if route is not None and (self.cycle is None or self.cycle.response_complete):
            headers = dict(self.headers)
            length = headers.get(b"content-length", b"")
            if (
                length.isdigit()
                and len(length) < 12
                and _UNUSUAL.isdisjoint(headers)
                and self.parser.get_method() == b"POST"
                and self.parser.get_http_version() == "1.1"
            ):
                self.idle_since = None
                self._exchange(route, headers, int(length))
                return
        if self.declines():
            return
        url, headers_seen = self.url, self.headers
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        self.headers.extend(headers_seen)
        expected = dict(headers_seen).get(b"expect", b"")
        self.expect_100_continue = expected.lower() == b"100-continue"
        super().on_headers_complete()

    def _exchange(self, route: Route, headers: dict[bytes, bytes], length: int) -> None:
        request = Request("POST", self.url.decode("latin-1"), headers, b"", perf_counter())
        exchange = Exchange(self, self.admission, route, request)
        self.cycle = self.exchange = exchange  # type: ignore[assignment]
        if b"connection" in headers and not self.parser.should_keep_alive():
            exchange.keep_alive = False
        limit = self.admission.options.max_body_bytes
        try:
            if length > limit:
                raise TooLarge(f"the body has {length} bytes, the limit is {limit}")
            self.admission.admit(request, route.slot)
        except ServingError as error:
            exchange.fail(error)

    def on_body(self, body: bytes) -> None:
        if self.exchange is not None:
            self.unread = 0
            self.exchange.receive(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        exchange = self.exchange
        if exchange is None:
            super().on_message_complete()
            return
        self.exchange = None
        self.unread = 0
        exchange.complete()

    def on_exchange_complete(self) -> None:
        """Wait for the next request, as uvicorn does after a response of its own."""
        if self.pipeline or (self.flow.read_paused and not self.flow.write_paused):
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.wait_for_head()

    def data_received(self, data: bytes) -> None:
        Connection.data_received(self, data)
        if self.exchange is not None:
            self.exchange.wait_for_body(self.admission.options.deadline_ms / 1000)

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(self.cycle, Exchange):
            self.cycle.lose()
        super().connection_lost(exc)


def protocol_for(service: Service) -> type[Protocol]:
    """The protocol class with its service, since uvicorn makes the instances."""
    return type("BoundProtocol", (Protocol,), {"service": service, "admission": service.admission})
