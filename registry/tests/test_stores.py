"""The contract of artifact stores, against every adapter."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import requests

from registry.adapters.filesystem import FilesystemStore
from registry.adapters.memory import MemoryStore
from registry.adapters.s3 import S3Store
from registry.errors import Conflict, Invalid, NotFound, Unavailable
from registry.ports import Part
from registry.tests import s3

CONTENT = b"weights" * 1000


@pytest.fixture(params=["filesystem", "memory", "s3"])
def any_store(request, tmp_path):
    if request.param == "s3":
        with s3.serving() as (_, client):
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


def parts_of(client):
    return client.list_multipart_uploads(Bucket=s3.BUCKET).get("Uploads", [])


def test_a_large_artifact_goes_to_s3_in_parts_and_comes_back():
    content = os.urandom(20 << 20)
    with s3.serving() as (_, client):
        store = S3Store(s3.BUCKET, prefix="", client=client)
        source = io.BytesIO(content)
        stored = store.put(source)
        assert not source.closed, "the stream belongs to the caller"
        assert parts_of(client) == [] and list(store.digests()) == [stored.digest]
        assert "-" in client.head_object(Bucket=s3.BUCKET, Key=store._key(stored.digest))["ETag"]
        with store.open(stored.digest) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == stored.digest.removeprefix("sha256:")


def test_an_upload_to_s3_that_died_is_swept():
    with s3.serving() as (_, client):
        store = S3Store(s3.BUCKET, prefix="", client=client)
        client.create_multipart_upload(Bucket=s3.BUCKET, Key="objects/ab/abcd")
        # moto says of every upload that it was begun in 2010, so that only the keeping of one can be shown.
        assert store.sweep(3600) == 1
        assert parts_of(client) == [] and list(store.digests()) == []


def test_an_s3_service_that_is_gone_is_unavailable():
    with s3.serving() as (url, client):
        store = S3Store(s3.BUCKET, prefix="", client=s3.client_of(url))
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.put(io.BytesIO(CONTENT))


# --- uploads in parts ------------------------------------------------------------------------------

PARTS = (Part(1, 0, 3000), Part(2, 3000, 3000), Part(3, 6000, 1000))
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def upload(any_store):
    return any_store.begin(str(uuid.uuid4()), len(CONTENT))


def send(store, ref, part, content=CONTENT):
    store.write_part(ref, part, io.BytesIO(content[part.offset : part.offset + part.size]))


def test_parts_arrive_in_any_order_and_become_one_content(any_store, upload):
    for part in reversed(PARTS):
        send(any_store, upload, part)
    assert dict(any_store.parts(upload)) == {1: 3000, 2: 3000, 3: 1000}
    any_store.finish(upload)
    any_store.finish(upload)
    with any_store.open_upload(upload) as stream:
        assert stream.read() == CONTENT
    assert list(any_store.digests()) == [], "nothing is kept before it is verified"
    any_store.keep(upload, DIGEST)
    any_store.keep(upload, DIGEST)
    with any_store.open(DIGEST) as stream:
        assert stream.read() == CONTENT
    with pytest.raises(NotFound):
        any_store.open_upload(upload)


def test_a_part_that_ends_early_is_not_there_and_is_sent_again(any_store, upload):
    send(any_store, upload, PARTS[0])
    with pytest.raises(Invalid, match="Part 2 ends"):
        any_store.write_part(upload, PARTS[1], io.BytesIO(CONTENT[:10]))
    assert set(any_store.parts(upload)) == {1}
    send(any_store, upload, PARTS[1], b"x" * len(CONTENT))
    send(any_store, upload, PARTS[1])
    send(any_store, upload, PARTS[2])
    any_store.finish(upload)
    with any_store.open_upload(upload) as stream:
        assert stream.read() == CONTENT


def test_a_finished_upload_takes_no_part(any_store, upload):
    for part in PARTS:
        send(any_store, upload, part)
    any_store.finish(upload)
    with pytest.raises((Conflict, NotFound, Unavailable)):  # moto answers 500 where S3 says NoSuchUpload
        send(any_store, upload, PARTS[0], b"y" * len(CONTENT))
    with any_store.open_upload(upload) as stream:
        assert stream.read() == CONTENT


def test_a_discarded_upload_leaves_nothing(any_store, upload):
    send(any_store, upload, PARTS[0])
    any_store.discard(upload)
    any_store.discard(upload)
    for ask in (any_store.parts, any_store.open_upload):
        with pytest.raises(NotFound):
            ask(upload)
    assert any_store.sweep(-5) == 0


def test_a_sweep_spares_the_uploads_that_are_wanted(any_store, upload):
    other = any_store.begin(str(uuid.uuid4()), len(CONTENT))
    send(any_store, upload, PARTS[0])
    assert any_store.sweep(-5, {upload}) == 1
    assert set(any_store.parts(upload)) == {1}
    with pytest.raises(NotFound):
        any_store.parts(other)


def test_content_that_is_there_already_is_not_stored_twice(any_store, upload):
    any_store.put(io.BytesIO(CONTENT))
    for part in PARTS:
        send(any_store, upload, part)
    any_store.finish(upload)
    any_store.keep(upload, DIGEST)
    assert list(any_store.digests()) == [DIGEST]


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "../../etc",
        "x/y",
        "97d60110-a621-4554-be05-a6456cffd671",
        "97d60110-a621-4554-be05-a6456cffd679/z",
    ],
)
def test_an_upload_nobody_began_is_not_found(any_store, ref):
    with pytest.raises(NotFound):
        any_store.parts(ref)
    any_store.discard(ref)


def test_a_signed_address_takes_a_part_without_us():
    with s3.serving() as (_, client):
        store = S3Store(s3.BUCKET, prefix="p/", client=client)
        ref = store.begin(str(uuid.uuid4()), len(CONTENT))
        for part in PARTS:
            body = CONTENT[part.offset : part.offset + part.size]
            assert requests.put(store.part_url(ref, part, 60), data=body, timeout=10).status_code == 200
        assert dict(store.parts(ref)) == {1: 3000, 2: 3000, 3: 1000}


def test_a_writer_of_a_part_that_is_killed_leaves_the_part_undone(tmp_path):
    store = FilesystemStore(tmp_path)
    ref = store.begin(str(uuid.uuid4()), 1 << 40)
    code = (
        "import sys; from registry.adapters.filesystem import FilesystemStore; from registry.ports import Part\n"
        "class Slow:\n"
        "    def read(self, n): sys.stdout.write('.'); sys.stdout.flush(); return b'x' * n\n"
        f"FilesystemStore({str(tmp_path)!r}).write_part({ref!r}, Part(1, 0, 1 << 40), Slow())"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=os.getcwd())
    assert child.stdout.read(3) == b"..."
    with pytest.raises(Conflict, match="still being written"):
        store.finish(ref)
    child.kill()
    child.communicate()
    assert store.parts(ref) == {}
    store.write_part(ref, Part(1, 0, 3), io.BytesIO(b"abc"))
    assert store.parts(ref) == {1: 3}
