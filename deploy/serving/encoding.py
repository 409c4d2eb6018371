"""Compressed bodies: of requests, within a limit whatever they claim to be, and of answers that are long."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable

import zstandard

from .errors import Malformed, TooLarge, UnsupportedEncoding
from .messages import Request, Response

_ZLIB_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
# What RFC 8878 asks every decoder to support; a larger one only serves to take memory.
_ZSTD_WINDOW = 8 * 1024 * 1024


def decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as the client had it before compressing; `limit` is in bytes, after decompression.

    Raises:
        UnsupportedEncoding: this server cannot decode it; Malformed: it is not what it claims to be;
        TooLarge: it grows beyond the limit.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name in _ZLIB_WINDOW:
        return _zlib(body, name, limit)
    if name == "zstd":
        return _zstandard(body, limit)
    raise UnsupportedEncoding(f"cannot decode {name[:40]!r} (this server knows: gzip, deflate, zstd)",
                              field="Content-Encoding")  # fmt: skip


def _zlib(body: bytes, name: str, limit: int) -> bytes:
    stream = zlib.decompressobj(_ZLIB_WINDOW[name])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Malformed(f"the body is not {name}", field="Content-Encoding") from None
    if len(content) > limit:
        raise _too_large(limit)
    if not stream.eof:
        raise Malformed(f"the {name} body ends too early", field="Content-Encoding")
    _refuse_more(stream.unused_data)
    return content


def _zstandard(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        # The reader stops at the limit, but a missing end is nothing to it; the object sees that.
        with decompressor.stream_reader(body) as reader:
            if len(reader.read(limit + 1)) > limit:
                raise _too_large(limit)
        stream = decompressor.decompressobj()
        content: bytes = stream.decompress(body)
    except zstandard.ZstdError:
        raise Malformed("the body is not zstd", field="Content-Encoding") from None
    if not stream.eof:
        raise Malformed("the zstd body ends too early", field="Content-Encoding")
    _refuse_more(stream.unused_data)
    return content


def _refuse_more(rest: bytes) -> None:
    """What stands behind the end would otherwise be dropped, and the answer be to a part of the request."""
    if rest:
        raise Malformed(f"{len(rest)} bytes stand behind the end of the body", field="Content-Encoding")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than the limit of {limit} bytes after decompression")


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.compress(body, 1),
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
}

_NEVER = re.compile(r"0(\.0*)?")


def compress(request: Request, response: Response, least: int) -> None:
    """Compress an answer of at least `least` bytes (0: none), if the client says that it takes that."""
    if not least or len(response.body) < least or b"accept-encoding" not in request.headers:
        return
    accepted = _accepted(request.headers[b"accept-encoding"].decode("latin-1"))
    name = next((name for name in _ENCODERS if name in accepted), None)
    if name is None:
        return
    response.body = _ENCODERS[name](response.body)
    response.headers += [(b"content-encoding", name.encode()), (b"vary", b"accept-encoding")]


def _accepted(text: str) -> set[str]:
    """The encodings of an Accept-Encoding header, but for those of weight 0."""
    found = set()
    for item in text.lower().split(","):
        name, _, weight = item.replace(" ", "").partition(";q=")
        if not _NEVER.fullmatch(weight):
            found.add(name)
    return found
