"""The first step of a pod: the artifact is in the cache, or the exit status says whether to try again."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from hashlib import sha256
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

CONTENT = b"a model"
DIGEST = f"sha256:{sha256(CONTENT).hexdigest()}"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(CONTENT)
    server = HTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(artifact, digest, cache):
    command = [sys.executable, "-m", "deploy.serving.fetch", "--artifact", artifact, "--digest", digest]
    return subprocess.run([*command, "--cache", str(cache)], capture_output=True, text=True, timeout=120)


def test_the_artifact_is_in_the_cache_afterwards(store, tmp_path):
    done = fetch(f"{store}/model.onnx", DIGEST, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache" / "sha256" / DIGEST[7:]).read_bytes() == CONTENT


def test_other_bytes_than_the_digest_says_end_with_the_status_for_never(store, tmp_path):
    done = fetch(f"{store}/model.onnx", "sha256:" + "0" * 64, tmp_path / "cache")
    assert done.returncode == 3
    assert "digest" in done.stderr
