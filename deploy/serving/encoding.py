"""Compressed request bodies, decompressed within a limit whatever they claim to be."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from .errors import Malformed, TooLarge, UnsupportedEncoding

_ZLIB_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


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
    if name == "zstd" and (zstd := _zstd()) is not None:
        return _zstandard(body, zstd, limit)
    known = "gzip, deflate" + (", zstd" if _zstd() is not None else "")
    raise UnsupportedEncoding(f"cannot decode {name[:40]!r} (this server knows: {known})",
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


def _zstandard(body: bytes, zstd: Any, limit: int) -> bytes:
    stream = zstd.ZstdDecompressor()
    try:
        content: bytes = stream.decompress(body, limit + 1)
    except zstd.ZstdError:
        raise Malformed("the body is not zstd", field="Content-Encoding") from None
    if len(content) > limit:
        raise _too_large(limit)
    if not stream.eof:
        raise Malformed("the zstd body ends too early", field="Content-Encoding")
    return content


def _zstd() -> Any:
    """Python's own module from 3.14 on, or its backport; None without either."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than the limit of {limit} bytes after decompression")
