"""Requests and responses, apart from how HTTP brings them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .errors import MOST_CHARACTERS, MethodNotAllowed, Overloaded, RateLimited, ServingError, Unauthorized

Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}.*")

JSON = b"application/json"
BINARY = b"application/octet-stream"


@dataclass(slots=True)
class Request:
    """One request; header names are lower case, `started` is a perf_counter reading in seconds.

    The fields with defaults are filled in on the way: the bytes of it that arrived, and for the access log
    the name of the client's API key, rows, and the seconds it waited and its model run took.
    """

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes
    started: float
    pending: int = 0
    client: str = ""
    rows: int = 0
    queued: float = 0.0
    computed: float = 0.0


@dataclass(slots=True)
class Response:
    """One response; content-length is added where it is sent."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = field(default_factory=list)


def request_id(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The `X-Request-Id` of a request, if it has one that can stand in a header and in a log."""
    sent = headers.get(b"x-request-id")
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else None


def trace_context(headers: Mapping[bytes, bytes]) -> tuple[str, str] | None:
    """Trace and parent span of a W3C `traceparent`; None without a valid one, as the standard asks."""
    match = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return (match[1].decode(), match[2].decode()) if match else None


def json_response(document: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(document))


def error_response(error: ServingError) -> Response:
    """`{"error": text}`, and `field` where one value is to blame."""
    document = {"error": str(error)}
    if error.field is not None:
        document["field"] = error.field[:MOST_CHARACTERS]
    response = json_response(document, error.status)
    if isinstance(error, Overloaded | RateLimited):
        response.headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, MethodNotAllowed):
        response.headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthorized):
        response.headers.append((b"www-authenticate", b"Bearer"))
    return response
