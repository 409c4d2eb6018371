"""Artifacts from a real S3 API (moto's server): resumed, missing, and fetched once by pods that share a volume."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import boto3
import pytest
from moto.server import ThreadedMotoServer

from deploy.serving.errors import LoadError
from deploy.serving.sources import open_source
from deploy.serving.store import ArtifactCache

from . import models
from .support import running

CONTENT = hashlib.shake_256(b"artifact").digest(3_000_000)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MODEL = models.linear()


@pytest.fixture(scope="module")
def requests_seen():
    """Lines of the server's own access log: method, path and status of every request."""
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    logger = logging.getLogger("werkzeug")
    handler, level = Handler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="module")
def endpoint(requests_seen):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def bucket(endpoint, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="artifacts")
    client.put_object(Bucket="artifacts", Key="deep/model.onnx", Body=CONTENT)
    client.put_object(Bucket="artifacts", Key="linear.onnx", Body=MODEL)
    yield
    client.close()


def test_an_object_is_fetched_and_verified(tmp_path):
    source = open_source("s3://artifacts/deep/model.onnx")
    assert ArtifactCache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT


def test_a_download_that_stopped_goes_on_where_it_was(tmp_path, requests_seen):
    folder = tmp_path / "sha256"
    folder.mkdir()
    (folder / f"{DIGEST.removeprefix('sha256:')}.partial").write_bytes(CONTENT[:1_234_567])
    del requests_seen[:]
    source = open_source("s3://artifacts/deep/model.onnx")
    assert ArtifactCache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT
    (line,) = [line for line in requests_seen if "GET /artifacts/deep/model.onnx" in line]
    assert " 206 " in line, "only the missing part was asked for"


def test_a_download_that_was_complete_but_not_renamed_is_not_fetched_again(tmp_path):
    folder = tmp_path / "sha256"
    folder.mkdir()
    (folder / f"{DIGEST.removeprefix('sha256:')}.partial").write_bytes(CONTENT)
    source = open_source("s3://artifacts/deep/model.onnx")
    assert ArtifactCache(tmp_path).fetch(DIGEST, lambda: source).read_bytes() == CONTENT


def test_a_missing_object_and_a_missing_bucket_are_final():
    for url in ("s3://artifacts/none", "s3://nowhere/none"):
        with pytest.raises(LoadError, match="NoSuch"):
            list(open_source(url).read(0))


def test_servers_on_one_volume_fetch_once_and_all_serve(tmp_path, requests_seen):
    del requests_seen[:]
    digest = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
    flags = {"digest": digest, "cache": tmp_path / "volume"}
    with ExitStack() as stack:

        def start(number):
            folder = tmp_path / f"pod{number}"
            folder.mkdir()
            return stack.enter_context(running(folder, "s3://artifacts/linear.onnx", **flags))

        with ThreadPoolExecutor(3) as pool:
            pods = list(pool.map(start, range(3)))
        assert [pod.predict([1, 2, 3]).json["prediction"] for pod in pods] == [14.5] * 3
    fetched = [line for line in requests_seen if "GET /artifacts/linear.onnx" in line]
    assert len(fetched) == 1
    assert sorted(path.suffix for path in (tmp_path / "volume" / "sha256").iterdir()) == ["", ".lock"]
