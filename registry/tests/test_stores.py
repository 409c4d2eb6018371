"""The contract of artifact stores, against every adapter."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from registry.adapters.filesystem import FilesystemStore
from registry.adapters.memory import MemoryStore
from registry.adapters.s3 import S3Store
from registry.errors import Invalid, NotFound, Unavailable
from registry.tests import s3_server

CONTENT = b"weights" * 1000


@pytest.fixture(params=["filesystem", "memory", "s3"])
def any_store(request, tmp_path):
    if request.param == "s3":
        with s3_server.serving() as (_, client):
            yield S3Store("bucket", prefix="models/", client=client)
    else:
        yield FilesystemStore(tmp_path / "artifacts") if request.param == "filesystem" else MemoryStore()


def test_content_comes_back_under_its_sha256(any_store):
    stored = any_store.put(io.BytesIO(CONTENT))
    assert stored.digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert stored.size == len(CONTENT)
    with any_store.open(stored.digest) as stream:
        assert stream.read() == CONTENT
    assert any_store.exists(stored.digest)
    assert stored.digest.removeprefix("sha256:") in any_store.path_or_uri(stored.digest)


def test_content_can_be_read_from_the_middle(any_store):
    stored = any_store.put(io.BytesIO(CONTENT))
    with any_store.open(stored.digest, 3000) as stream:
        assert stream.read() == CONTENT[3000:]


def test_equal_content_is_stored_once(any_store):
    first, second = any_store.put(io.BytesIO(CONTENT)), any_store.put(io.BytesIO(CONTENT))
    assert first == second
    assert list(any_store.digests()) == [first.digest]


def test_what_is_not_there_is_not_found(any_store):
    digest = "sha256:" + "0" * 64
    assert not any_store.exists(digest)
    for ask in (any_store.open, any_store.path_or_uri):
        with pytest.raises(NotFound, match="No artifact"):
            ask(digest)


def test_deleting_twice_is_no_error(any_store):
    digest = any_store.put(io.BytesIO(CONTENT)).digest
    any_store.delete(digest)
    any_store.delete(digest)
    assert not any_store.exists(digest)


@pytest.mark.parametrize("digest", ["sha256:../../x", "x", "", "sha256:" + "Z" * 64])
def test_what_is_no_digest_reaches_no_path(any_store, digest):
    for ask in (any_store.open, any_store.path_or_uri, any_store.exists, any_store.delete):
        with pytest.raises(Invalid):
            ask(digest)


class Breaking(io.BytesIO):
    """A stream that fails half-way."""

    def read(self, size=-1):
        if self.tell():
            raise ConnectionResetError("peer went away")
        return super().read(100)


def test_a_broken_upload_stores_nothing(any_store):
    with pytest.raises((ConnectionResetError, Unavailable)):
        any_store.put(Breaking(CONTENT))
    assert list(any_store.digests()) == []
    assert any_store.sweep(0) == 0


def test_many_writers_of_the_same_content_agree(any_store):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(any_store.put(io.BytesIO(CONTENT)))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and len(results) == 16


def test_the_folder_keeps_artifacts_read_only(tmp_path):
    store = FilesystemStore(tmp_path)
    path = Path(store.path_or_uri(store.put(io.BytesIO(CONTENT)).digest))
    assert path.is_absolute() and path.stat().st_mode & 0o222 == 0


def test_a_writer_killed_half_way_leaves_no_artifact_and_is_swept(tmp_path):
    code = (
        "import sys; from registry.adapters.filesystem import FilesystemStore\n"
        "class Endless:\n"
        "    def read(self, n): sys.stdout.write('.'); sys.stdout.flush(); return b'x' * n\n"
        f"FilesystemStore({str(tmp_path)!r}).put(Endless())"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=os.getcwd())
    assert child.stdout.read(3) == b"..."
    child.kill()
    child.communicate()
    store = FilesystemStore(tmp_path)
    assert list(store.digests()) == []
    (left,) = (tmp_path / "incoming").iterdir()
    assert store.sweep(3600) == 0, "a fresh upload may still be running"
    os.utime(left, (time.time() - 7200,) * 2)
    assert store.sweep(3600) == 1
    assert not list((tmp_path / "incoming").iterdir())


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="The artifact folder .* failed"):
        FilesystemStore(tmp_path / "file" / "artifacts").put(io.BytesIO(CONTENT))


def test_a_large_artifact_goes_to_s3_in_parts_and_comes_back():
    content = os.urandom(20 << 20)
    with s3_server.serving() as (server, client):
        store = S3Store("bucket", prefix="", client=client)
        source = io.BytesIO(content)
        stored = store.put(source)
        assert not source.closed, "the stream belongs to the caller"
        assert server.uploads == {} and len(server.objects) == 1
        with store.open(stored.digest) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == stored.digest.removeprefix("sha256:")


def test_an_upload_to_s3_that_died_is_swept():
    with s3_server.serving() as (server, client):
        store = S3Store("bucket", prefix="", client=client)
        client.create_multipart_upload(Bucket="bucket", Key="objects/ab/abcd")
        assert store.sweep(3600) == 0, "it may still be running"
        assert store.sweep(-5) == 1
        assert server.uploads == {} and list(store.digests()) == []


def test_an_s3_service_that_is_gone_is_unavailable():
    with s3_server.serving() as (_, client):
        store = S3Store("bucket", prefix="", client=client)
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.put(io.BytesIO(CONTENT))
