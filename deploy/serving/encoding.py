"""Compressed request bodies, decompressed within a limit whatever they claim to be."""

from __future__ import annotations

import zlib

import zstandard

from .errors import Malformed, TooLarge, UnsupportedEncoding

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
    return content


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than the limit of {limit} bytes after decompression")
