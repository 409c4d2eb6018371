"""Which headers pass the gateway, in both directions (RFC 9110 section 7.6.1). Pure functions."""

import random
import re
from collections.abc import Iterable

Headers = list[tuple[str, str]]
RawHeaders = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# The length and the host are those of the next hop; `expect` was answered by this one.
_REPLACED = HOP_BY_HOP | {"content-length", "host", "expect", "x-request-id", "x-forwarded-for"}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Header names in lower case and values, as text (latin-1, which keeps every byte)."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def request_id_of(headers: dict[str, str]) -> str:
    """The request id that the client sent, or a new one when it sent none or an unusable one."""
    sent = headers.get("x-request-id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else f"{random.getrandbits(128):032x}"


def upstream_headers(headers: Headers, found: dict[str, str], client: str, request_id: str) -> Headers:
    """The request headers for the server: end-to-end ones, the request id, who asked and whom.

    `found` is `headers` as a mapping.
    """
    dropped = _REPLACED | _named_by(found["connection"]) if "connection" in found else _REPLACED
    kept = [pair for pair in headers if pair[0] not in dropped]
    before = found.get("x-forwarded-for")
    kept.append(("x-request-id", request_id))
    kept.append(("x-forwarded-for", f"{before}, {client}" if before else client))
    if "host" in found and "x-forwarded-host" not in found:
        kept.append(("x-forwarded-host", found["host"]))
    return kept


def client_headers(raw: Iterable[tuple[bytes, bytes]], version: str, request_id: str) -> RawHeaders:
    """The response headers for the client: end-to-end ones, the request id and the version that answered."""
    lowered = [(name.lower(), value) for name, value in raw]
    dropped = _RESPONSE_DROPPED
    for name, value in lowered:
        if name == b"connection":
            dropped = dropped | {item.encode() for item in _named_by(value.decode("latin-1"))}
    kept = [pair for pair in lowered if pair[0] not in dropped]
    kept.append((b"x-request-id", request_id.encode()))
    kept.append((b"x-slipway-version", version.encode()))
    return kept


_RESPONSE_DROPPED = frozenset(name.encode() for name in (*HOP_BY_HOP, "x-request-id", "x-slipway-version"))


def _named_by(connection: str) -> frozenset[str]:
    """The headers that a Connection header declares to be of one hop."""
    return frozenset(item.strip().lower() for item in connection.split(","))
