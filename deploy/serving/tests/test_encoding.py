"""Compressed bodies: what is understood, and what a hostile one runs into."""

from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard

from deploy.serving.encoding import decode_body
from deploy.serving.errors import Malformed, TooLarge, UnsupportedEncoding

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
