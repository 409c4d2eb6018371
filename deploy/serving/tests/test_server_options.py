"""Options of the real process: keys, log, compression, cache, deadlines, environment."""

from __future__ import annotations

import gzip
import hashlib
import json
import select
import socket
from contextlib import ExitStack

import pytest

from deploy.serving.config import parse_options

from . import models
from .support import launched, running, until

BODY = b'{"features":[1,2,3]}'


def test_without_a_key_there_is_no_prediction_but_health_and_metrics(tmp_path):
    keys = tmp_path / "keys.json"
    digest = hashlib.sha256(b"secret").hexdigest()
    keys.write_text(json.dumps({"keys": [{"name": "shop", "sha256": digest, "rate": 0.01, "burst": 2}]}))
    with running(tmp_path, models.linear(), api_keys=keys) as process:
        assert process.get("/health").status == 200
        refused = process.predict([1, 2, 3])
        assert refused.status == 401
        assert "Bearer" in refused.json["error"]
        assert refused.headers["www-authenticate"] == "Bearer"
        key = {"authorization": "Bearer secret"}
        assert [process.predict([1, 2, 3], **key).status for _ in range(2)] == [200, 200]
        limited = process.predict([1, 2, 3], **key)
        assert limited.status == 429
        assert int(limited.headers["retry-after"]) > 50
        text = process.get("/metrics").body.decode()
        assert 'status="rejected"} 2\n' in text


def test_unreadable_keys_exit_with_3(tmp_path):
    with launched(tmp_path, models.linear(), api_keys=tmp_path / "absent") as process:
        assert process.popen.wait(20) == 3
        assert "cannot read the API keys" in process.log.read_text()


def test_the_access_log_has_a_line_per_prediction(tmp_path):
    with running(tmp_path, models.linear(), access_log="on", endpoint="e") as process:
        process.predict([1, 2, 3], **{"x-request-id": "abc"})
        process.predict([1, 2])
        process.get("/health")
        until(lambda: len(process.out.read_text().splitlines()) == 2, 5, process.out.read_text)
        good, bad = (json.loads(line) for line in process.out.read_text().splitlines())
        assert (good["status"], good["outcome"], good["rows"], good["request_id"]) == (200, "ok", 1, "abc")
        assert (bad["status"], bad["outcome"]) == (422, "rejected")
        process.predict([1, 2, 3])
        process.stop()
        assert len(process.out.read_text().splitlines()) == 3, "a drain writes what is left"


def test_gzip_bodies_are_understood_within_the_limit(tmp_path):
    with running(tmp_path, models.linear(), max_body_bytes=1000) as process:
        headers = {"Content-Encoding": "gzip"}
        assert process.request("POST", "/predict", gzip.compress(BODY), headers).status == 200
        assert process.request("POST", "/predict", BODY, headers).status == 400
        bomb = gzip.compress(b" " * 100_000)
        assert process.request("POST", "/predict", bomb, headers).status == 413
        assert process.request("POST", "/predict", BODY, {"Content-Encoding": "br"}).status == 415
        assert process.predict([1, 2, 3]).status == 200


@pytest.mark.parametrize("encoding", [b"", b"Content-Encoding: gzip\r\n"])
def test_bodies_that_never_end_do_not_fill_the_memory(tmp_path, encoding):
    head = b"POST /predict HTTP/1.1\r\n" + encoding + b"Content-Length: 1000\r\n\r\n"
    with running(tmp_path, models.linear(), max_pending_bytes=2000) as process, ExitStack() as stack:
        pending = [socket.create_connection(("127.0.0.1", process.port), 10) for _ in range(3)]
        for connection in pending:
            stack.enter_context(connection)
            connection.sendall(head + b"x" * 900)
        ready, _, _ = select.select(pending, [], [], 10)
        assert ready[0].recv(1000).startswith(b"HTTP/1.1 503")
        assert len(ready) == 1
        for connection in pending:
            connection.close()
        until(lambda: process.predict([1, 2, 3]).status == 200, 5)
        packed = gzip.compress(b" " * 10_000 + BODY)
        answer = process.request("POST", "/predict", packed, {"Content-Encoding": "gzip"})
        assert (len(packed) < 2000, answer.status) == (True, 503), "what it becomes counts"
        assert process.predict([1, 2, 3]).status == 200


def test_long_answers_are_compressed_on_both_ways_through_the_server(tmp_path):
    with running(tmp_path, models.linear(), compress_bytes=500) as process:
        body = json.dumps({"features": [[1, 2, 3]] * 200}).encode()
        plain = process.request("POST", "/predict", body)
        for path in ("/predict", "/predict?long=way"):
            answer = process.request("POST", path, body, {"Accept-Encoding": "gzip"})
            assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")
            assert gzip.decompress(answer.body) == plain.body
        short = process.request("POST", "/predict", BODY, {"Accept-Encoding": "gzip"})
        assert "content-encoding" not in short.headers


def test_repeated_inputs_come_from_the_cache_and_are_counted_all_the_same(tmp_path):
    spec = tmp_path / "histograms.json"
    item = {"name": "a", "tensor": "X", "column": 0, "kind": "numeric", "edges": [0.5]}
    spec.write_text(json.dumps({"inputs": [item], "outputs": []}))
    with running(tmp_path, models.linear(), response_cache=8, histograms=spec) as process:
        answers = [process.predict([1, 2, 3]).json for _ in range(3)]
        answers.append(process.predict([[1.0, 2, 3]]).json)
        assert {answer.get("prediction", answer.get("predictions")) == 14.5 for answer in answers[:3]} == {
            True
        }
        assert answers[3]["predictions"] == [14.5]
        text = process.get("/metrics").body.decode()
        assert 'result="hit"} 3\n' in text
        assert 'result="miss"} 1\n' in text
        assert 'model_input_value_count{endpoint="m",model="m",model_version="1",feature="a"} 4\n' in text


def test_a_request_may_bring_a_shorter_deadline(tmp_path):
    with running(tmp_path, models.heavy(512, 400), warmup=0, deadline_ms=60_000) as process:
        assert process.predict([[1, 2]], **{"x-slipway-deadline-ms": "5"}).status == 504
        assert process.predict([[1, 2]], **{"x-slipway-deadline-ms": "1e7"}).status == 200
        bad = process.predict([[1, 2]], **{"x-slipway-deadline-ms": "soon"})
        assert (bad.status, bad.json["field"]) == (422, "x-slipway-deadline-ms")


def test_flags_come_from_the_environment_and_flags_win():
    environ = {
        "SLIPWAY_SERVING_ARTIFACT": "m.onnx",
        "SLIPWAY_SERVING_MAX_BATCH": "7",
        "SLIPWAY_SERVING_PORT": "9000",
        "SLIPWAY_SERVING_ACCESS_LOG": "on",
        "SLIPWAY_SERVING_BATCH_DELAY_MS": "1.5",
    }
    options = parse_options(["--port", "9001", "--model", "m"], environ)
    assert (options.artifact, options.max_batch, options.port) == ("m.onnx", 7, 9001)
    assert options.access_log is True
    assert options.batch_delay_ms == 1.5
    assert options.endpoint == "m"


@pytest.mark.parametrize(
    ("argv", "environ", "named"),
    [
        ([], {}, "--artifact"),
        (["--artifact", "a", "--port", "70000"], {}, "--port"),
        (["--artifact", "a", "--queue", "x"], {}, "--queue"),
        (["--artifact", "a", "--deadline-ms", "nan"], {}, "--deadline-ms"),
        (["--artifact", "a", "--provider", "tpu"], {}, "--provider"),
        (["--artifact", "a"], {"SLIPWAY_SERVING_ACCESS_LOG": "maybe"}, "--access-log"),
        (["--artifact", "a", "--art", "b"], {}, "--art"),
    ],
)
def test_a_bad_option_is_named(argv, environ, named, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_options(argv, environ)
    assert caught.value.code == 2
    assert named in capsys.readouterr().err
