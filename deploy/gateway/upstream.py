"""One request to one server: pooled connections, time-outs, and failures as one exception type."""

import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from deploy.gateway.headers import Headers, RawHeaders
from deploy.gateway.instances import Instance

# Shorter than any server's, so that it is never the server that closes an idle connection: a request
# sent into a closing connection would fail.
KEEPALIVE_S = 4.0
CONNECT_S = 5.0
WHOLE_BYTES = 1 << 20
"""Answers of a known length up to this one are read before they are passed on."""


class Unreachable(Exception):
    """No answer came from the server; `code` is what the client gets instead."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Request:
    """A request as it goes upstream. `target` is path and query exactly as they were received."""

    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Answer:
    """A server's answer; `chunks` is None when `body` is all of it."""

    status: int
    headers: RawHeaders
    body: bytes
    chunks: AsyncIterator[bytes] | None


class Upstream:
    """The gateway's HTTP client. Use as an async context manager.

    It follows no redirects, keeps no cookies, leaves encoded bodies encoded and sends nothing twice,
    except that an idempotent request on a pooled connection that turns out to be closed is sent on a
    new one (RFC 9110 section 9.2.2); a prediction is a POST and never is.
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self.timeout = timeout

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=min(CONNECT_S, self.timeout), sock_read=self.timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def send(self, instance: Instance, request: Request) -> "Sending":
        """`async with` it to get an Answer. Raises Unreachable, also while the answer's `chunks` are read."""
        url = URL(f"http://{instance.host}:{instance.port}{request.target}", encoded=True)
        # aiohttp writes large bytes in one go, and files in pieces.
        body = io.BytesIO(request.body) if len(request.body) > WHOLE_BYTES else request.body or None
        exchange = self._session.request(
            request.method, url, data=body, headers=request.headers, allow_redirects=False
        )
        return Sending(exchange, instance.name, self.timeout)


class Sending:
    """A request on its way, as an async context manager; errors come out of it as Unreachable."""

    __slots__ = ("_exchange", "_name", "_timeout")

    def __init__(
        self, exchange: AbstractAsyncContextManager[aiohttp.ClientResponse], name: str, timeout: float
    ) -> None:
        self._exchange = exchange
        self._name = name
        self._timeout = timeout

    async def __aenter__(self) -> Answer:
        try:
            response = await self._exchange.__aenter__()
            return await _answer(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exchange.__aexit__(kind, error, trace)
        if isinstance(error, aiohttp.ClientError | OSError):
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return Unreachable(504, f"{self._name} did not accept a connection in time")
        if isinstance(error, TimeoutError):
            return Unreachable(504, f"{self._name} did not answer within {self._timeout:g} s")
        if isinstance(error, aiohttp.ClientConnectorError):
            return Unreachable(502, f"{self._name} refused the connection")
        return Unreachable(502, f"{self._name} broke off the connection")


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    length = response.content_length
    headers = list(response.raw_headers)
    if length is not None and length <= WHOLE_BYTES:
        return Answer(response.status, headers, await response.read(), None)
    return Answer(response.status, headers, b"", response.content.iter_any())
