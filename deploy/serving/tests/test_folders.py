"""Folders as artifacts: every file verified, put where another model server looks, nothing outside of it."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.serving import fetch
from deploy.serving.errors import LoadError
from deploy.serving.folders import place_folder

FILES = {"net.onnx": b"graph", "weights.bin": b"weights", "deep/er/notes.txt": b"notes"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def put(store: Path, content: bytes) -> str:
    """As a store keeps it; its digest."""
    name = hashlib.sha256(content).hexdigest()
    path = store / "objects" / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"sha256:{name}"


def listing(store: Path, files: dict[str, bytes]) -> bytes:
    entries = [{"path": path, "digest": put(store, data), "size": len(data)} for path, data in files.items()]
    return json.dumps({"schema": 1, "files": entries}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def url(store: Path) -> Iterator[str]:
    """The store over HTTP."""
    store.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(store)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_every_file_is_fetched_over_the_network_and_the_model_gets_the_name_that_is_looked_for(
    tmp_path, store, url
):
    digest = put(store, listing(store, FILES))
    place, hexdigest = tmp_path / "models" / "1", digest[7:]
    arguments = [
        "--artifact", f"{url}/objects/{hexdigest[:2]}/{hexdigest}", "--digest", digest,
        "--cache", str(tmp_path / "cache"), "--place", str(place), "--folder", "--main", "model.onnx",
    ]  # fmt: skip
    for _ in range(2):  # the second time from the cache
        assert fetch.main(arguments) == 0
    renamed = {("model.onnx" if path == "net.onnx" else path): data for path, data in FILES.items()}
    assert found(place) == renamed


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(tmp_path, store, url):
    text = listing(store, {"a": b"weights"})
    place_folder(text, f"{url}/objects/00/00", tmp_path / "cache", tmp_path / "one")
    (kept,) = (tmp_path / "cache" / "sha256").glob("?" * 64)
    kept.write_bytes(b"damaged")
    place_folder(text, f"{url}/objects/00/00", tmp_path / "cache", tmp_path / "two")
    assert found(tmp_path / "two") == {"a": b"weights"}


@pytest.mark.parametrize("files", [{"a.onnx": b"1", "b.onnx": b"2"}, {"deep/a.onnx": b"1"}])
def test_a_folder_without_one_model_at_its_top_is_not_guessed_at(tmp_path, store, files):
    with pytest.raises(LoadError, match="exactly one is needed"):
        place_folder(
            listing(store, files), str(store / "objects/00/00"), tmp_path, tmp_path / "m", "model.onnx"
        )


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a//b", "", "a/./b"])
def test_a_list_never_reaches_outside_of_its_folder(tmp_path, store, path):
    with pytest.raises(LoadError, match="does not lie in the folder"):
        place_folder(
            listing(store, {path: b"x"}), str(store / "objects/00/00"), tmp_path, tmp_path / "models"
        )
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\x08\x07onnx", "no list of a folder's files"),
        (b"[]", "no list of a folder's files"),
        (b'{"files": [{"path": "a", "digest": ""}]}', "no digest of 'a'"),
        (b'{"files": [{"path": "a", "digest": "md5:1"}]}', "is not a digest"),
    ],
)
def test_what_is_no_list_is_never_served(tmp_path, text, says):
    with pytest.raises(LoadError, match=says):
        place_folder(text, "s3://models/objects/00/00", tmp_path, tmp_path / "models")
