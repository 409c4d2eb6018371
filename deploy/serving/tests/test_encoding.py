"""Compressed bodies: what is understood, and what a hostile one runs into."""

from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard

from deploy.serving.encoding import compress, decode_body
from deploy.serving.errors import Malformed, TooLarge, UnsupportedEncoding
from deploy.serving.messages import Request, Response

BODY = b'{"features":[1,2,3]}' * 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
        ("", BODY),
    ],
)
def test_known_encodings_are_decoded(name, content):
    assert decode_body(content, name, 10_000) == BODY


def test_a_bomb_stops_at_the_limit():
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge, match="1000 bytes after decompression"):
        decode_body(bomb, "gzip", 1000)


@pytest.mark.parametrize("content", [BODY, b"", gzip.compress(BODY, mtime=0)[:-4]])
def test_what_is_not_gzip_or_ends_early_is_refused(content):
    with pytest.raises(Malformed):
        decode_body(content, "gzip", 10_000)


@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)]
)
def test_what_stands_behind_the_end_is_refused_and_not_dropped(name, pack):
    for more in (b"x", pack(BODY)):
        with pytest.raises(Malformed, match="behind the end"):
            decode_body(pack(BODY) + more, name, 10_000)


@pytest.mark.parametrize(
    ("accepts", "least", "name"),
    [
        (b"gzip", 10, b"gzip"),
        (b"deflate, gzip;q=0.5", 10, b"gzip"),
        (b"gzip, ZSTD", 10, b"zstd"),
        (b"gzip;q=0, zstd;q=0.0", 10, None),
        (b"identity", 10, None),
        (b"gzip", 0, None),
        (b"gzip", 100_000, None),
        (None, 10, None),
    ],
)
def test_long_answers_are_compressed_for_those_who_take_it(accepts, least, name):
    headers = {} if accepts is None else {b"accept-encoding": accepts}
    response = Response(200, BODY)
    compress(Request("POST", "/predict", headers, b"", 0.0), response, least)
    assert dict(response.headers).get(b"content-encoding") == name
    assert decode_body(response.body, (name or b"").decode(), 10_000) == BODY


def test_an_unknown_encoding_is_refused_with_those_that_are_known():
    with pytest.raises(UnsupportedEncoding, match="gzip, deflate"):
        decode_body(BODY, "br", 10_000)


def test_zstd_is_decoded_within_the_limit():
    compressed = zstandard.compress(BODY)
    assert decode_body(compressed, "zstd", 10_000) == BODY
    streamed = zstandard.ZstdCompressor().compressobj()
    assert decode_body(streamed.compress(BODY) + streamed.flush(), "zstd", 10_000) == BODY
    with pytest.raises(TooLarge):
        decode_body(zstandard.compress(b"\0" * 20_000_000), "zstd", 1000)
    for spoilt in (BODY, b"", compressed[:-5]):
        with pytest.raises(Malformed):
            decode_body(spoilt, "zstd", 10_000)
