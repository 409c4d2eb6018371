"""The gateway as an ASGI application: `/<endpoint>/<rest>` to `/<rest>` of a server, and its own pages."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter

from deploy.gateway.asgi import (
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    read_body,
    send_answer,
    send_json,
    until_client_leaves,
)
from deploy.gateway.headers import client_headers, decoded, request_id_of, upstream_headers
from deploy.gateway.instances import Instance
from deploy.gateway.metrics import Metrics, Series
from deploy.gateway.mirror import Mirrors
from deploy.gateway.routes import Route
from deploy.gateway.table import Table
from deploy.gateway.upstream import Answer, Request, Unreachable, Upstream

log = logging.getLogger("slipway.gateway")
BODY_LIMIT = 64 << 20
EXPOSITION = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
CLIENT_GONE = 499
"""nginx's code for a client that left before its answer came; it is only counted, nobody receives it."""


@dataclass(slots=True)
class Exchange:
    """One request on its way: where it goes, who asked, and how to answer."""

    route: Route
    version: str
    series: Series
    request_id: str
    receive: Receive
    send: Send
    status: int = 0

    async def fail(self, status: int, message: str) -> None:
        """Answer in the server's stead."""
        self.status = status
        headers = client_headers((), self.version, self.request_id)
        if status == 503:
            headers.append((b"retry-after", b"1"))
        if status == 413:
            headers.append((b"connection", b"close"))
        await send_json(self.send, status, {"error": message}, headers)


@dataclass
class Gateway:
    """Routes requests by `table`, counts them in `metrics`. Bodies beyond `body_limit` bytes get 413."""

    table: Table
    upstream: Upstream
    metrics: Metrics
    mirrors: Mirrors
    body_limit: int = BODY_LIMIT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        path: bytes = scope["raw_path"]
        name = path[1:].split(b"/", 1)[0].decode("latin-1")
        route = self.table.routes.get(name)
        if route is None or path == b"/metrics":
            await self._own(name, path.decode("latin-1"), send)
            return
        query: bytes = scope["query_string"]
        target = (path[len(name) + 1 :] or b"/") + (b"?" + query if query else b"")
        await self._exchange(route, target.decode("latin-1"), scope, receive, send)

    async def _own(self, name: str, path: str, send: Send) -> None:
        if path == "/-/health":
            await send_json(send, 200, {"status": "ok"})
        elif path == "/-/routes":
            await send_json(send, 200, self.table.to_dict())
        elif path == "/metrics":
            await send_answer(send, 200, EXPOSITION, self.metrics.exposition())
        elif name in self.table.errors:
            message = f"the route of {name} is invalid: {self.table.errors[name]}"
            await send_json(send, 503, {"error": message})
        else:
            message = f"no endpoint {name!r}: requests go to /<endpoint>/<path>, see GET /-/routes"
            await send_json(send, 404, {"error": message})

    async def _exchange(self, route: Route, target: str, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers = decoded(scope["headers"])
        found = dict(headers)
        version, request_id = route.choose(found), request_id_of(found)
        series = self.metrics.series(route.endpoint, route.model, version)
        exchange = Exchange(route, version, series, request_id, receive, send)
        series.inflight += 1
        try:
            body = await read_body(receive, found.get("content-length"), self.body_limit)
            client = scope["client"][0] if scope["client"] else "unknown"
            passed = upstream_headers(headers, found, client, request_id)
            await self._answer(exchange, Request(scope["method"], target, passed, body))
        except BodyTooLarge:
            await exchange.fail(413, f"the request's body exceeds {self.body_limit >> 20} MiB")
        except ClientGone:
            exchange.status = CLIENT_GONE
        finally:
            series.inflight -= 1
            series.answered(exchange.status or 500, perf_counter() - started)

    async def _answer(self, exchange: Exchange, request: Request) -> None:
        route = exchange.route
        instance = self.table.pick(route.endpoint, exchange.version)
        try:
            if instance is None:
                message = f"version {exchange.version} of {route.endpoint} has no ready server"
                raise Unreachable(503, message)
            async with until_client_leaves(exchange.receive):
                await self._forward(exchange, instance, request)
        except Unreachable as error:
            exchange.series.unreachable += 1
            if exchange.status == 0:
                await exchange.fail(error.code, str(error))
            else:
                # Too late for a status code: returning with the answer incomplete closes the connection.
                log.error("%s while its answer was passed on", error)
        for version in route.mirrors(exchange.request_id, exchange.version):
            series = self.metrics.series(route.endpoint, route.model, version)
            self.mirrors.send(route.endpoint, version, request, series)

    async def _forward(self, exchange: Exchange, instance: Instance, request: Request) -> None:
        async with self.upstream.send(instance, request) as answer:
            headers = client_headers(answer.headers, exchange.version, exchange.request_id)
            exchange.status = answer.status
            if answer.chunks is None:
                await send_answer(exchange.send, answer.status, headers, answer.body)
            else:
                await _stream(exchange.send, answer, headers, answer.chunks)


async def _stream(
    send: Send, answer: Answer, headers: list[tuple[bytes, bytes]], chunks: AsyncIterator[bytes]
) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
