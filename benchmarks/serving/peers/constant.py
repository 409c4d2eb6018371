"""Answers every request with the same bytes: what an HTTP server costs without anything behind it."""

from __future__ import annotations

from typing import Any

ANSWER = b'{"prediction":152.1,"outputs":{"variable":152.1},"model":"m","model_version":"1"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}
BODY = {"type": "http.response.body", "body": ANSWER}


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """For uvicorn and granian."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)


async def rsgi(scope: Any, protocol: Any) -> None:
    """For granian's own interface."""
    await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], ANSWER)
