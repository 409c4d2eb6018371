"""Folders as artifacts: every file verified, put where another model server looks, nothing outside of it."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from deploy.serving import fetch
from deploy.serving.artifact import Artifact
from deploy.serving.errors import LoadError
from deploy.serving.folders import place_folder
from deploy.serving.loading import obtain_model
from deploy.serving.model import load_model

from . import models
from .support import launched, running

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


@pytest.fixture
def weighty(tmp_path: Path) -> dict[str, bytes]:
    """A model whose weights lie in a file below it, and an empty file that belongs to nothing."""
    place = tmp_path / "exported"
    (place / "weights").mkdir(parents=True)
    onnx.save_model(
        onnx.load_from_string(models.linear()), str(place / "net.onnx"),
        save_as_external_data=True, location="weights/net.bin", size_threshold=0,
    )  # fmt: skip
    (place / "README").touch()
    return found(place)


def kept(store: Path, files: dict[str, bytes]) -> tuple[str, str]:
    """Where the store has the folder's list, below its root, and the list's digest."""
    digest = put(store, listing(store, files))
    return f"objects/{digest[7:9]}/{digest[7:]}", digest


def test_a_model_with_its_weights_in_another_file_is_served_over_the_network(tmp_path, store, url, weighty):
    path, digest = kept(store, weighty)
    with running(tmp_path, f"{url}/{path}", digest=digest, cache=tmp_path / "cache") as server:
        answer = server.predict([[1, 2, 3]])
        metrics = server.get("/metrics").body.decode()
    assert answer.json["predictions"] == direct(tmp_path / "exported" / "net.onnx", [[1, 2, 3]])
    # What is told to be served is what was registered: the folder.
    assert f'digest="{digest}"' in metrics


def test_and_from_a_store_on_this_machine_without_a_cache(tmp_path, store, weighty):
    path, digest = kept(store, weighty)
    with running(tmp_path, store / path, digest=digest) as server:
        assert server.predict([[1, 2, 3]]).json["predictions"] == [14.5]


def test_what_the_first_step_of_a_pod_fetched_is_not_fetched_again(tmp_path, store, url, weighty):
    path, digest = kept(store, weighty)
    arguments = ["--artifact", f"{url}/{path}", "--digest", digest, "--cache", str(tmp_path / "cache")]
    assert fetch.main(arguments) == 0
    shutil.rmtree(store)
    with running(tmp_path, f"{url}/{path}", digest=digest, cache=tmp_path / "cache") as server:
        assert server.predict([[1, 2, 3]]).json["predictions"] == [14.5]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: files.pop("weights/net.bin"), "ONNX Runtime cannot load the artifact"),
        (lambda files: files.update({"weights/net.bin": b"\0\0"}), "ONNX Runtime cannot load the artifact"),
        (lambda files: files.update({"other.onnx": b"1"}), "2 files \\*.onnx at its top"),
        (lambda files: files.clear(), "0 files \\*.onnx at its top"),
    ],
)
def test_a_folder_that_is_not_whole_is_never_served(tmp_path, store, weighty, change, says):
    change(weighty)
    path, digest = kept(store, weighty)
    with pytest.raises(LoadError, match=says):
        load_model(obtain_model(str(store / path), digest, None), 1, None)


def in_a_nested_graph(tensor: onnx.TensorProto) -> bytes:
    """A model that answers with a tensor of one of its branches."""
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [tensor.name], ["y"])], "branch", [],
        [models.tensor("y", models.FLOAT, tensor.dims)], [tensor],
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("If", ["X"], ["Y"], then_branch=branch, else_branch=branch)], "test",
        [models.tensor("X", onnx.TensorProto.BOOL, [])], [models.tensor("Y", models.FLOAT, tensor.dims)],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_reads_no_file_that_is_not_of_its_folder(tmp_path, monkeypatch, nested):
    monkeypatch.chdir(tmp_path)
    model = onnx.load_from_string(models.linear())
    onnx.save_model(model, "m.onnx", save_as_external_data=True, location="secret", size_threshold=0)
    model = onnx.load("m.onnx", load_external_data=False)
    tensor = next(one for one in model.graph.initializer if one.name == "W")
    content = in_a_nested_graph(tensor) if nested else model.SerializeToString()
    with pytest.raises(LoadError, match="ONNX Runtime cannot load the artifact"):
        load_model(Artifact(content, "sha256:test"), 1, None)


def test_weights_that_were_changed_in_the_store_are_never_served(tmp_path, store, weighty):
    path, digest = kept(store, weighty)
    name = hashlib.sha256(weighty["weights/net.bin"]).hexdigest()
    (store / "objects" / name[:2] / name).write_bytes(b"\0" * 12)
    with launched(tmp_path, store / path, digest=digest) as server:
        assert server.popen.wait(30) == 3
    assert "has the digest" in server.log.read_text()


def direct(path: Path, rows: list[list[float]]) -> list[float]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": np.array(rows, np.float32)})[0][:, 0].tolist()
