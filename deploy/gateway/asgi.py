"""The few parts of ASGI that the gateway needs, with bounds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

PATIENCE_S = 0.25
"""Most answers come sooner; only for the others it is worth a task to watch whether the client left."""


class BodyTooLarge(Exception):
    """The request's body exceeds the limit."""


class ClientGone(Exception):
    """The client closed its connection."""


async def read_body(receive: Receive, announced: str | None, limit: int) -> bytes:
    """The whole request body. Raises BodyTooLarge as soon as that is known, ClientGone."""
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLarge
    return b"".join(parts)


class until_client_leaves:
    """`async with` whose block ends with ClientGone soon after the client closed its connection.

    Enter it when the body was read: from then on, all that `receive` can still say is that. It works like
    asyncio.timeout, at a tenth of its price, because next to no request needs it.
    """

    __slots__ = ("_gone", "_loop", "_receive", "_task", "_timer", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(PATIENCE_S, self._start)

    def _start(self) -> None:
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        # Only the cancellation of our own making: one from outside has to go on.
        if self._gone and self._task is not None and self._task.uncancel() == 0:
            raise ClientGone from error


async def send_answer(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, document: object, headers: RawHeaders | None = None) -> None:
    """A JSON answer."""
    body = json.dumps(document).encode() + b"\n"
    length = (b"content-length", str(len(body)).encode())
    await send_answer(send, status, [(b"content-type", b"application/json"), length, *(headers or [])], body)
