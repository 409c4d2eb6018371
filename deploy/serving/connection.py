"""uvicorn's protocol with limits on what one client can make the server hold or wait for."""

from __future__ import annotations

import asyncio

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .errors import HeadTooLarge, HeadTooLate, Malformed, ServingError
from .messages import error_response

HEAD_BYTES = 64 * 1024
"""Most bytes before a body begins, or behind it; a head that arrives at once may be larger."""
_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """Closed after `timeout_keep_alive` seconds without a request, or with one whose head is not complete.

    Nothing more is read while the client leaves its answers unread.
    """

    unread = 0
    """Bytes since the last piece of a body, or since the last whole request."""
    idle_since: float | None = None
    """Since when (loop time) a head, or the rest of it, is waited for; None while a request is under way."""
    unsent = -1
    """Bytes of answers that the client had not taken when it was looked at last."""
    timer: asyncio.TimerHandle | None = None
    offered = b""
    """The head of a request that offered another protocol, without the offer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.unread += len(data)
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                self._decline(data[offer.args[0] :])
        except HttpParserError:
            self.turn_away(Malformed("this is not an HTTP request"))
        if self.unread > HEAD_BYTES:
            self.turn_away(HeadTooLarge(f"the head of the request is larger than {HEAD_BYTES} bytes"))

    def _decline(self, rest: bytes) -> None:
        """Answer who offers another protocol, as Java's client does, as if it had not, body and all.

        The parser takes `rest`, what stands behind the head, for the other protocol's; so another parser gets
        the request again without the offer. In `rest` there may be more requests of that kind.
        """
        while self.offered:
            data, self.offered = self.offered + rest, b""
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]

    def declines(self) -> bool:
        """Whether the head that is complete offers another protocol; it is then kept for `_decline`."""
        if not self.parser.should_upgrade() or self.parser.get_method() == b"CONNECT":
            return False
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % item for item in self.headers if item[0] not in _OFFER]
        if not self.parser.should_keep_alive():
            lines.append(b"connection: close")
        self.offered = b"\r\n".join((*lines, b"", b""))
        return True

    def on_message_begin(self) -> None:
        self.idle_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.idle_since is not None:  # behind a body they say nothing that anybody reads
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.idle_since = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.unread = 0
        if not self.offered:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's timer; ours sees that, too
        # Else a request is under way that was pipelined behind it.
        if self.cycle is None or self.cycle.response_complete:
            self.wait_for_head()

    def wait_for_head(self) -> None:
        """The next request may come, or the client may leave; one timer lasts for many requests."""
        self.idle_since = self.loop.time()
        if self.timer is None:
            self._look_after(self.timeout_keep_alive)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        self.unsent = -1
        if self.timer is None:
            self._look_after(self.timeout_keep_alive)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()

    def turn_away(self, error: ServingError) -> None:
        """Answer with `error` and close."""
        if self.transport.is_closing():
            return
        body = error_response(error).body
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (STATUS_LINE[error.status], len(body), body)
        )
        self.transport.close()
        self.wait_for_head()

    def _look_after(self, seconds: float) -> None:
        self.timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Close, if there was neither a request nor a client that reads its answers."""
        self.timer = None
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self.unsent:
            self.transport.abort()  # to close would wait until the client has read them
        elif unsent:
            self.unsent = unsent
            self._look_after(self.timeout_keep_alive)
        elif self.idle_since is not None and not self.transport.is_closing():
            remaining = self.idle_since + self.timeout_keep_alive - self.loop.time()
            if remaining > 0:
                self._look_after(remaining)
            elif self.unread:
                self.turn_away(HeadTooLate(f"the head was not complete after {self.timeout_keep_alive} s"))
            else:
                self.transport.close()
