"""The service as an ASGI application: reads bodies within limits, sends responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from .encoding import compress, decode_body
from .errors import DeadlineExceeded, Malformed, ServingError, TooLarge
from .messages import Request, Response
from .service import Route, Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """ASGI 3, HTTP only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._admission = admission = service.admission
        self._limit = admission.options.max_body_bytes
        self._patience = admission.options.deadline_ms / 1000

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = Request(scope["method"], scope["path"], dict(scope["headers"]), b"", perf_counter())
        route = self._service.prediction(request)
        if route is None:
            response = await self._service.handle(request)
        else:
            response = await self._predict(request, route, receive)
        compress(request, response, self._admission.options.compress_bytes)
        await _send(response, send)

    async def _predict(self, request: Request, route: Route, receive: Receive) -> Response:
        try:
            self._admission.admit(request, route.slot)
            request.body = await self._body(request, receive)
            encoding = request.headers.get(b"content-encoding")
            if encoding is not None:
                packed = len(request.body)
                request.body = decode_body(request.body, encoding.decode("latin-1"), self._limit)
                self._admission.take(request, max(0, len(request.body) - packed))
        except ServingError as error:
            response = await self._service.refuse(request, route, error)
            # uvicorn discards the rest of a body that nobody reads. To close on a client that is still
            # sending would reset the connection before it has read the answer.
            if isinstance(error, DeadlineExceeded):
                response.headers.append((b"connection", b"close"))
            return response
        return await self._service.predict(request, route)

    async def _body(self, request: Request, receive: Receive) -> bytes:
        """The body, within the limits of size and time."""
        length = request.headers.get(b"content-length", b"0")
        if int(length) > self._limit:
            raise TooLarge(f"the body has {int(length)} bytes, the limit is {self._limit}")
        body = bytearray()
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Malformed("the client went away before the body was complete")
                    body += message["body"]
                    self._admission.take(request, len(message["body"]))
                    if len(body) > self._limit:
                        raise TooLarge(f"the body is larger than the limit of {self._limit} bytes")
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise DeadlineExceeded("the body was not complete before the deadline") from None


async def _send(response: Response, send: Send) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
