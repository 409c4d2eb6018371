"""The artifact cache: fetched once, resumed, verified, whatever the source does."""

from __future__ import annotations

import errno
import hashlib
import http.server
import threading
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from deploy.serving import providers
from deploy.serving.errors import LoadError
from deploy.serving.loading import obtain
from deploy.serving.sources import HttpSource, S3Source, SourceUnavailable, open_source
from deploy.serving.store import ATTEMPTS, ArtifactCache

from . import models
from .support import launched, running

CONTENT = bytes(range(256)) * 50
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Flaky:
    """A source that breaks off after `piece` bytes, each time it is read."""

    def __init__(self, content=CONTENT, piece=None, ranges=True):
        self.content, self.piece, self.ranges = content, piece, ranges
        self.offsets = []

    def read(self, offset):
        self.offsets.append(offset)
        at = offset if self.ranges else 0
        end = len(self.content) if self.piece is None else at + self.piece
        for start in range(at, min(end, len(self.content)), 1000):
            yield start, self.content[start : min(start + 1000, end)]
        if end < len(self.content):
            raise SourceUnavailable("broke off")


def cache(tmp_path):
    return ArtifactCache(tmp_path, pause=lambda seconds: None)


def test_an_artifact_is_fetched_once(tmp_path):
    source = Flaky()
    for _ in range(2):
        assert cache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    assert source.offsets == [0]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path):
    source = Flaky(piece=5000)
    assert cache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    assert source.offsets == [0, 5000, 10000]


def test_a_full_disk_may_have_room_at_the_next_start_and_a_disk_that_takes_nothing_has_not(tmp_path):
    class Full(Flaky):
        def __init__(self, number):
            self.number = number

        def read(self, offset):
            raise OSError(self.number, "the disk says so")

    with pytest.raises(SourceUnavailable, match="no room"):
        cache(tmp_path).fetch(DIGEST, lambda: Full(errno.ENOSPC))
    with pytest.raises(LoadError, match="the disk says so"):
        cache(tmp_path).fetch(DIGEST, lambda: Full(errno.EROFS))


def test_a_download_goes_on_after_a_restart(tmp_path):
    name = DIGEST.removeprefix("sha256:")
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / f"{name}.partial").write_bytes(CONTENT[:7000])
    source = Flaky()
    assert cache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    assert source.offsets == [7000]


def test_a_source_without_ranges_is_read_from_the_start(tmp_path):
    name = DIGEST.removeprefix("sha256:")
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / f"{name}.partial").write_bytes(b"\0" * 7000)
    assert cache(tmp_path).fetch(DIGEST, lambda: Flaky(ranges=False)).read_bytes() == CONTENT


def test_a_partial_file_of_other_bytes_is_thrown_away(tmp_path):
    name = DIGEST.removeprefix("sha256:")
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / f"{name}.partial").write_bytes(b"\0" * 7000)
    source = Flaky()
    assert cache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    assert source.offsets == [7000, 0]


def test_pieces_that_do_not_fit_together_are_no_evidence_against_the_artifact(tmp_path):
    class Patched(Flaky):
        """Breaks off once, and gives wrong bytes to whoever asks for the rest, as a cache in between may."""

        def read(self, offset):
            self.piece = None if self.offsets else 5000
            for at, chunk in super().read(offset):
                yield at, chunk if offset == 0 else b"\0" * len(chunk)

    source = Patched()
    assert cache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    assert source.offsets == [0, 5000, 0]


def test_another_artifact_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(LoadError, match="expected sha256:"):
        cache(tmp_path).fetch(DIGEST, lambda: Flaky(b"something else"))
    assert [path.suffix for path in (tmp_path / "sha256").iterdir()] == [".lock"]


def test_a_source_that_stays_away_is_given_up(tmp_path):
    source = Flaky(piece=0)
    with pytest.raises(SourceUnavailable):
        cache(tmp_path).fetch(DIGEST, lambda: source)
    assert len(source.offsets) == ATTEMPTS


def test_servers_that_start_together_fetch_once(tmp_path):
    source = Flaky()
    threads = [
        threading.Thread(target=lambda: cache(tmp_path).fetch(DIGEST, lambda: source)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert source.offsets == [0]


@contextmanager
def http_server(content, *, ranges=True, status=200, cut=None):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            seen.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and ranges else 0
            self.send_response(status if not (wanted and ranges) else 206)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content) if cut is None else start + cut
            self.wfile.write(content[start:end])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/model.onnx", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_http_is_resumed_with_ranges(tmp_path):
    with http_server(CONTENT, cut=6000) as (url, seen):
        assert cache(tmp_path).fetch(DIGEST, lambda: HttpSource(url)).read_bytes() == CONTENT
    assert seen == [None, "bytes=6000-", "bytes=12000-"]


def test_http_404_is_final_and_500_is_not():
    with http_server(b"", status=404) as (url, _), pytest.raises(LoadError, match="answers 404"):
        list(HttpSource(url).read(0))
    with http_server(b"", status=503) as (url, _), pytest.raises(SourceUnavailable, match="answers 503"):
        list(HttpSource(url).read(0))


class Bucket:
    """The part of boto3's S3 client that is used."""

    def __init__(self, objects, error=None):
        self.objects, self.error = objects, error

    def get_object(self, *, Bucket, Key, Range="bytes=0-"):  # noqa: N803
        if self.error is not None:
            raise self.error
        if (Bucket, Key) not in self.objects:
            raise ClientError(
                {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "GetObject"
            )
        start = int(Range.removeprefix("bytes=").rstrip("-"))
        import io

        return {"Body": io.BytesIO(self.objects[Bucket, Key][start:])}


def test_s3_objects_are_read_from_any_offset():
    source = S3Source(Bucket({("b", "k"): CONTENT}), "b", "k")
    assert b"".join(chunk for _, chunk in source.read(300)) == CONTENT[300:]


def test_a_missing_s3_object_is_final_and_a_lost_connection_is_not():
    with pytest.raises(LoadError, match="NoSuchKey"):
        list(S3Source(Bucket({}), "b", "k").read(0))
    lost = EndpointConnectionError(endpoint_url="http://s3")
    with pytest.raises(SourceUnavailable):
        list(S3Source(Bucket({}, lost), "b", "k").read(0))


def test_an_s3_url_needs_a_bucket_and_a_key():
    with pytest.raises(LoadError, match="s3://bucket/key"):
        open_source("s3://bucket")


def test_a_url_needs_a_digest_and_a_cache(tmp_path):
    with pytest.raises(LoadError, match="needs --digest and --cache"):
        obtain("http://127.0.0.1:9/x", "", tmp_path)
    with pytest.raises(LoadError, match="needs --digest and --cache"):
        obtain("http://127.0.0.1:9/x", DIGEST, None)


def test_a_cached_file_that_was_damaged_is_fetched_again(tmp_path):
    with http_server(CONTENT) as (url, seen):
        obtain(url, DIGEST, tmp_path)
        (tmp_path / "sha256" / DIGEST.removeprefix("sha256:")).write_bytes(b"damaged")
        assert obtain(url, DIGEST, tmp_path).content == CONTENT
        # Another server that had read the damaged one, too, comes too late to throw the new one away.
        cache(tmp_path).discard(DIGEST)
        assert obtain(url, DIGEST, tmp_path).content == CONTENT
    assert len(seen) == 2


def test_the_server_fetches_its_artifact_and_starts_again_without_the_source(tmp_path):
    content = models.linear()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    flags = {"digest": digest, "cache": tmp_path / "cache"}
    with http_server(content) as (url, seen), running(tmp_path, url, **flags) as process:
        assert process.predict([1, 2, 3]).json["prediction"] == 14.5
    with running(tmp_path, url, **flags) as process:
        assert process.predict([1, 2, 3]).json["prediction"] == 14.5
    assert seen == [None]


def test_a_source_with_another_artifact_exits_with_3(tmp_path):
    with (
        http_server(b"other") as (url, _),
        launched(tmp_path, url, digest=DIGEST, cache=tmp_path / "cache") as process,
    ):
        assert process.popen.wait(20) == 3
        assert "expected sha256:" in process.log.read_text()


GPU = [providers.TENSORRT, providers.CUDA, providers.CPU]


@pytest.mark.parametrize(
    ("choice", "available", "chosen"),
    [
        ("auto", [providers.CPU], [providers.CPU]),
        ("auto", GPU, [providers.CUDA, providers.CPU]),
        ("cpu", GPU, [providers.CPU]),
        ("cuda", GPU, [providers.CUDA, providers.CPU]),
        ("tensorrt", GPU, GPU),
    ],
)
def test_the_provider_is_chosen_from_what_the_runtime_has(choice, available, chosen):
    assert providers.choose(choice, available) == chosen


def test_a_provider_asked_for_by_name_must_be_there_and_must_start():
    with pytest.raises(LoadError, match="has no cuda provider"):
        providers.choose("cuda", [providers.CPU])
    with pytest.raises(LoadError, match="did not start"):
        providers.check("cuda", [providers.CPU])
    providers.check("auto", [providers.CPU])
