"""Several models in one process: listed in a file, replaced and unloaded while requests go on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import tritonclient.http as client_module
import tritonclient.utils as utils

from deploy.serving.call import Call
from deploy.serving.config import Options
from deploy.serving.errors import LoadError
from deploy.serving.repository import PER_MODEL, Slot, model_options

from . import models
from .support import launched, running, until


def write(folder, **entries):
    """The models file; each entry's artifact is written beside it."""
    listed = []
    for name, (content, more) in entries.items():
        path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.onnx"
        path.write_bytes(content)
        listed.append({"model": name, "artifact": str(path), "warmup": 2, **more})
    file = folder / "models.json"
    file.write_text(json.dumps({"models": listed}))
    return file


@pytest.fixture
def server(tmp_path):
    file = write(
        tmp_path,
        a=(models.linear(3), {"model_version": "7"}),
        b=(models.labelled(), {"execution": "thread"}),
    )
    with running(tmp_path, "", models=file, repository="on") as process:
        yield process


def plain(process, name, features):
    return process.request("POST", f"/predict/{name}", json.dumps({"features": features}).encode())


def repository(process, path, **headers):
    return process.request("POST", f"/v2/repository/{path}", b"{}", headers)


def test_each_model_has_its_paths_and_its_metrics(server):
    assert plain(server, "a", [1, 2, 3]).json["model_version"] == "7"
    assert plain(server, "b", {"amount": 2, "colour": "red"}).json["outputs"] == {
        "label": "red",
        "score": 4.0,
    }
    assert server.predict([1, 2, 3]).json["model"] == "a", "the first one answers the path without a name"
    assert server.get("/v2/models/b/versions/1").json["versions"] == ["1"]
    text = server.get("/metrics").body.decode()
    assert text.count("# TYPE model_predictions_total counter") == 1
    assert 'model_predictions_total{endpoint="a",model="a",model_version="7",status="ok"} 2' in text
    assert 'model_predictions_total{endpoint="b",model="b",model_version="1",status="ok"} 1' in text
    assert 'model_memory_bytes{endpoint="b",model="b",model_version="1"}' in text
    assert {"/predict/b", "/v2/models/a/versions/7/infer"} <= set(server.get("/openapi.json").json["paths"])


def test_a_model_is_replaced_and_unloaded_without_losing_a_request(server, tmp_path):
    stop, wrong, seen = threading.Event(), [], set()

    def client(name, features):
        while not stop.is_set():
            answer = plain(server, name, features)
            if answer.status == 200:
                seen.add((name, answer.json["model_version"], answer.json["prediction"]))
            else:
                wrong.append((name, answer.status, answer.body))

    threads = [threading.Thread(target=client, args=("a", [1, 2, 3])) for _ in range(3)]
    threads.append(threading.Thread(target=client, args=("b", {"amount": 2, "colour": "red"})))
    for thread in threads:
        thread.start()
    try:
        until(lambda: ("a", "7", 14.5) in seen, 10)
        doubled = models.model(
            [models.helper.make_node("ReduceSum", ["X", "axes"], ["y"], keepdims=1)],
            [models.tensor("X", models.FLOAT, ["N", 3])],
            [models.tensor("y", models.FLOAT, ["N", 1])],
            {"axes": models.np.array([1])},
        )
        for turn in range(3):
            version = f"{8 + turn}"
            content = doubled if turn % 2 == 0 else models.linear(3)
            write(tmp_path, a=(content, {"model_version": version, "execution": "thread"}),
                  b=(models.labelled(), {}))  # fmt: skip
            assert repository(server, "models/a/load").status == 200
            assert repository(server, "models/b/load").status == 200
            expected = ("a", version, 6.0 if turn % 2 == 0 else 14.5)
            until(lambda expected=expected: expected in seen, 10)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert wrong == []
    assert server.get("/v2/models/a/versions/7").status == 404
    assert repository(server, "models/b/unload").status == 200
    assert plain(server, "b", {"amount": 2, "colour": "red"}).status == 404
    assert plain(server, "a", [1, 2, 3]).status == 200


def test_a_load_that_fails_leaves_what_was_there(server, tmp_path):
    write(tmp_path, a=(b"no model", {}), b=(models.labelled(), {}))
    answer = repository(server, "models/a/load")
    assert answer.status == 409
    assert "cannot be loaded: ONNX Runtime cannot load the artifact" in answer.json["error"]
    assert plain(server, "a", [1, 2, 3]).json["model_version"] == "7"
    assert repository(server, "models/c/load").json["error"] == "no model 'c' is listed (there are: a, b)"
    assert repository(server, "models/c/unload").status == 404


def test_tritons_client_manages_the_repository(server):
    with client_module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        index = client.get_model_repository_index()
        assert [(item["name"], item["version"], item["state"]) for item in index] == [
            ("a", "7", "READY"), ("b", "1", "READY"),
        ]  # fmt: skip
        client.unload_model("b")
        assert not client.is_model_ready("b")
        assert client.get_model_repository_index()[1]["state"] == "UNAVAILABLE"
        client.load_model("b")
        assert client.is_model_ready("b")
        with pytest.raises(utils.InferenceServerException, match="no model 'c' is listed"):
            client.load_model("c")
        config = client.get_model_config("a", "7")
        assert config["max_batch_size"] == 32
        assert config["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": [3]}]


def test_the_repository_is_closed_unless_opened_and_then_to_admins_only(tmp_path):
    with running(tmp_path, models.linear()) as process:
        assert repository(process, "index").status == 403
    keys = tmp_path / "keys.json"
    hashed = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("shop", "root")}
    keys.write_text(json.dumps({"keys": [
        {"name": "shop", "sha256": hashed["shop"]}, {"name": "root", "sha256": hashed["root"], "admin": True},
    ]}))  # fmt: skip
    with running(tmp_path, models.linear(), repository="on", api_keys=keys) as process:
        assert repository(process, "index").status == 401
        assert repository(process, "index", **{"X-API-Key": "shop"}).status == 403
        assert repository(process, "models/m/load", **{"X-API-Key": "root"}).status == 200
        assert process.request("GET", "/v2/repository/index").status == 405


def test_a_bad_models_file_exits_with_3(tmp_path):
    file = tmp_path / "models.json"
    file.write_text('{"models": []}')
    with launched(tmp_path, "", models=file) as process:
        assert process.popen.wait(20) == 3
        assert "must be a list with at least one entry" in process.log.read_text()


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ([], "models[0] must be an object"),
        ({"artifact": "x"}, "models[0].model is missing"),
        ({"model": "a", "artifact": "x", "port": 1}, "models[0].port is not an option of a model"),
        ({"model": "a", "artifact": "x", "threads": -1}, "models[0].threads has a value it cannot have"),
        ({"model": "a", "artifact": "x", "threads": True}, "models[0].threads has a value it cannot have"),
        ({"model": "a", "artifact": "x", "queue": 0}, "it cannot have: 0 is not at least 1"),
        (
            {"model": "a", "artifact": "x", "deadline_ms": float("nan")},
            "it cannot have: nan is not at least 1",
        ),
        (
            {"model": "a", "artifact": "x", "histogram_rate": 2},
            "it cannot have: 2 is not a share from 0 to 1",
        ),
        ({"model": "a", "artifact": "x", "provider": "gpu"}, "'gpu' is not one of auto, cpu, cuda, tensorrt"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, entry, complaint):
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"models": [entry]}))
    with pytest.raises(LoadError) as caught:
        model_options(Options(models=file))
    assert complaint in str(caught.value)


def test_options_of_an_entry_stand_beside_those_of_the_flags(tmp_path):
    file = tmp_path / "models.json"
    entry = {"model": "a", "artifact": "x", "queue": 3, "histograms": "h.json"}
    file.write_text(json.dumps({"models": [entry]}))
    flags = Options(models=file, digest="sha256:0", queue=9, max_rows=5, artifact="y", endpoint="e")
    first, second = model_options(flags)
    assert (first.model, first.queue, first.digest) == ("model", 9, "sha256:0")
    assert (second.queue, second.max_rows, second.digest) == (3, 5, "")
    assert (second.histograms, second.endpoint) == (Path("h.json"), "a")
    assert set(PER_MODEL) <= {field.name for field in dataclasses.fields(Options)}


def test_a_call_belongs_to_the_version_that_answers_though_another_came_meanwhile():
    slot = Slot(Options(artifact="x", model_version="1"))
    old = SimpleNamespace(metrics=slot.metrics, wires={"plain": None}, start=lambda call: None)
    slot.served = old
    call = Call(SimpleNamespace(in_flight=0), slot, "plain", None)
    call.begin()
    slot.metrics, slot.served = Slot(Options(artifact="x", model_version="2")).metrics, None
    assert call.metrics.labels["model_version"] == "1"
