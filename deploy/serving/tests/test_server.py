"""The real process: readiness, protocols, refusals, metrics, exit codes, draining."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import signal
import socket
import threading
import time
from bisect import bisect_left

import numpy as np
import onnxruntime
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from . import models
from .support import launched, running, until

INPUT_EDGES = [-0.5, 0.0, 0.1, 0.5]
OUTPUT_EDGES = [0.2, 0.4, 0.6, 0.8]


def histograms(tmp_path):
    path = tmp_path / "histograms.json"
    inputs = [
        {"name": f"f{column}", "tensor": "X", "column": column, "kind": "numeric", "edges": INPUT_EDGES}
        for column in range(3)
    ]
    outputs = [
        {"name": "label", "tensor": "label", "column": None, "kind": "categorical", "categories": ["0", "1"]},
        {"name": "p1", "tensor": "probabilities", "column": 1, "kind": "numeric", "edges": OUTPUT_EDGES},
    ]
    path.write_text(json.dumps({"inputs": inputs, "outputs": outputs}))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with running(
        folder, models.classifier(), histograms=histograms(folder), model_version=3, endpoint="e"
    ) as process:
        yield process


def samples(process):
    families = text_string_to_metric_families(process.get("/metrics").body.decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found, name, **labels):
    named = {"endpoint": "e", "model": "m", "model_version": "3", **labels}
    return found[(name, *sorted(named.items()))]


def test_health_metadata_and_readiness(server):
    assert server.get("/health").json == {"status": "ready", "model": "m", "model_version": "3"}
    assert server.get("/v2/health/live").json == {"live": True}
    assert server.get("/v2/health/ready").json == {"ready": True}
    assert server.get("/v2").json["name"] == "slipway-serving"
    for path in ("/v2/models/m", "/v2/models/m/versions/3"):
        assert server.get(path).json["versions"] == ["3"]
        assert server.get(f"{path}/ready").status == 200


def test_both_protocols_answer_what_onnxruntime_answers_bit_for_bit(server):
    session = onnxruntime.InferenceSession(models.classifier(), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    for row in rows:
        label, probabilities = session.run(None, {"X": row[None]})
        answer = server.predict(row.tolist()).json
        assert answer["prediction"] == label[0]
        assert (
            np.array(answer["outputs"]["probabilities"], dtype=np.float32).tobytes()
            == probabilities.tobytes()
        )
        document = {
            "parameters": {"binary_data_output": True},
            "inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP32",
                        "parameters": {"binary_data_size": 12}}],
        }  # fmt: skip
        reply = server.infer(document, row.tobytes())
        length = int(reply.headers["inference-header-content-length"])
        assert reply.body[length:] == label.tobytes() + probabilities.tobytes()


def test_the_version_may_stand_in_the_path(server):
    body = json.dumps({"inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]})
    answer = server.request("POST", "/v2/models/m/versions/3/infer", body.encode())
    assert answer.status == 200
    assert server.request("POST", "/v2/models/m/versions/4/infer", body.encode()).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/predict", b'{"features":[1,2]}', 422, "features: has 2 values"),
        ("POST", "/predict", b'{"features":[1,2,NaN]}', 422, "features[2]: is NaN"),
        ("POST", "/predict", b'{"features":[1,2,null]}', 422, "features[2]"),
        ("POST", "/predict", b'{"features":{"f0":1,"f1":2}}', 422, "features.f2: is missing"),
        ("POST", "/predict", b'{"features":{"f0":1,"f1":2,"f2":3,"x":4}}', 422, "features.x: is not"),
        ("POST", "/predict", b"{", 400, "not JSON"),
        ("POST", "/predict", b"\x00\xff" * 100, 400, "not JSON"),
        ("POST", "/predict", b'{"features":' + b"[" * 100_000, 400, "not JSON"),
        ("POST", "/predict", b'{"features":[NaN,2,3],"\\uD800":1}', 400, "half of a surrogate pair"),
        ("POST", "/predict", b'{"features":[NaN,2,3],"id":"\xed\xa0\x80"}', 400, "not JSON"),
        ("POST", "/predict", b'{"features":[1,2,1' + b"0" * 400 + b"]}", 422, "features[2]: is infinite"),
        ("POST", "/predict", b'{"features":[1,2,3],"' + b"x" * 5000 + b'":1}', 422, "xxx…"),
        ("POST", "/v2/models/m/infer", b'{"inputs":[{"name":"Z"}]}', 422, "inputs[0].name"),
        ("POST", "/v2/models/other/infer", b"{}", 404, "this server has the model 'm'"),
        ("POST", "/nowhere", b"{}", 404, "there is nothing at /nowhere"),
        ("GET", "/predict", None, 405, "/predict answers to POST"),
        ("POST", "/health", b"", 405, "/health answers to GET"),
        ("DELETE", "/predict", None, 405, "/predict answers to POST"),
    ],
)
def test_a_hostile_request_gets_4xx_and_a_message_that_names_the_field(
    server, method, path, body, status, text
):
    answer = server.request(method, path, body)
    assert answer.status == status, answer.body
    assert text in answer.json["error"]
    assert "Traceback" not in answer.body.decode()
    assert server.predict([1, 2, 3]).status == 200


def test_a_request_id_comes_back(server):
    assert server.predict([1, 2, 3], **{"x-request-id": "abc"}).headers["x-request-id"] == "abc"


def test_the_server_survives_bytes_that_are_not_http(server):
    for garbage in (
        b"\x16\x03\x01" * 50,
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(garbage)
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.predict([1, 2, 3]).status == 200


HOSTILE = [
    ("/predict", b'{"features":[1,2]}', b""),
    ("/predict", b'{"features":[1,2,null]}', b""),
    ("/predict", b"{", b""),
    ("/predict", b'{"features":' + b"[" * 5000, b""),
    ("/predict", b"no gzip", b"Content-Encoding: gzip\r\n"),
    ("/v2/models/m/infer", b"{}", b"Inference-Header-Content-Length: 99\r\n"),
    ("/v2/models/m/infer", b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1]}]}', b""),
    ("/nowhere", b"{}", b""),
]


async def test_a_crowd_of_good_and_hostile_connections_gets_each_its_answer(server):
    def raw(path, body, extra=b""):
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + extra + length + body

    async def exchange(reader, writer, request):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)

    async def client(index):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for turn in range(20):
            if (index + turn) % 3:
                assert (await exchange(reader, writer, raw("/predict", b'{"features":[1,2,3]}')))[0] == 200
                continue
            status, body = await exchange(reader, writer, raw(*HOSTILE[(index + turn) % len(HOSTILE)]))
            assert 400 <= status < 500
            assert json.loads(body)["error"]
        if index % 4 == 0:
            writer.write(b"POST /predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        writer.close()

    async with asyncio.timeout(60):
        await asyncio.gather(*(client(index) for index in range(100)))
    assert server.predict([1, 2, 3]).status == 200


def test_counts_and_histograms_equal_an_offline_recount(server):
    session = onnxruntime.InferenceSession(models.classifier(), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(2).normal(0, 0.4, size=(900, 3)).round(1)
    before = samples(server)
    for start in range(0, 600, 3):
        assert server.predict(rows[start : start + 3].tolist()).status == 200
    for row in rows[600:]:
        assert server.predict(row.tolist()).status == 200
        assert server.predict([*row.tolist(), 1]).status == 422
    after = samples(server)

    def gained(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert gained("model_predictions_total", status="ok") == 500
    assert gained("model_predictions_total", status="rejected") == 300
    assert gained("model_prediction_seconds_count") == 800
    assert gained("model_queue_seconds_count") == 500
    assert gained("model_batch_size_sum") == 900
    labels, probabilities = session.run(None, {"X": rows.astype(np.float32)})
    for column in range(3):
        expected = recount(rows[:, column].astype(np.float32), INPUT_EDGES)
        for edge, count in expected.items():
            assert gained("model_input_value_bucket", feature=f"f{column}", le=edge) == count
    for edge, count in recount(probabilities[:, 1], OUTPUT_EDGES).items():
        assert gained("model_output_value_bucket", output="p1", le=edge) == count
    for category in (0, 1):
        counted = gained("model_output_class_total", output="label", **{"class": str(category)})
        assert counted == (labels == category).sum()


def recount(column, edges):
    """Cumulative counts by `le`, in float32 as the tensor."""
    rounded = [float(np.float32(edge)) for edge in edges]
    bins = [0] * (len(edges) + 1)
    for item in column.tolist():
        bins[bisect_left(rounded, item)] += 1
    marks = [repr(float(edge)) for edge in edges] + ["+Inf"]
    return dict(zip(marks, np.cumsum(bins).tolist(), strict=True))


def test_metrics_parse_and_name_the_artifact(server):
    found = samples(server)
    digest = f"sha256:{hashlib.sha256(models.classifier()).hexdigest()}"
    assert value(found, "model_info", digest=digest) == 1
    assert value(found, "model_load_seconds") > 0
    assert value(found, "model_queue_depth") == 0
    assert found[("process_resident_memory_bytes",)] > 1e6


def test_a_model_failure_is_500_and_counted_and_the_server_goes_on(tmp_path):
    with running(tmp_path, models.fragile(), endpoint="e", model_version=3) as process:
        answer = process.predict([99])
        assert answer.status == 500
        assert answer.json["error"].startswith("the model failed on this input")
        assert process.predict([2]).json["prediction"] == 30
        found = samples(process)
        assert value(found, "model_predictions_total", status="error") == 1
        assert value(found, "model_predictions_total", status="ok") == 1


@pytest.mark.parametrize("execution", ["inline", "thread"])
def test_under_concurrency_good_requests_are_untouched_by_failing_neighbours(tmp_path, execution):
    with running(tmp_path, models.fragile(), execution=execution) as process:
        wrong = []

        def client(index):
            for turn in range(50):
                item = 99 if (index + turn) % 5 == 0 else (index + turn) % 4
                answer = process.predict([item])
                expected = (500, None) if item == 99 else (200, 10 * (item + 1))
                if (answer.status, answer.json.get("prediction")) != expected:
                    wrong.append((item, answer))

        in_threads(client, 8)
        assert wrong == []


def in_threads(client, count):
    threads = [threading.Thread(target=client, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_a_wrong_digest_exits_with_3_and_one_line(tmp_path):
    with launched(tmp_path, models.linear(), digest="sha256:" + "0" * 64) as process:
        assert process.popen.wait(20) == 3
        line = process.log.read_text().splitlines()[-1]
        assert "has the digest sha256:" in line
        assert "expected sha256:0000" in line


@pytest.mark.parametrize("content", [b"", b"no model", models.linear()[:80]])
def test_a_model_that_cannot_load_exits_with_3(tmp_path, content):
    with launched(tmp_path, content) as process:
        assert process.popen.wait(20) == 3
        assert "Traceback" not in process.log.read_text()


def test_histograms_that_do_not_fit_exit_with_3(tmp_path):
    with launched(tmp_path, models.linear(), histograms=histograms(tmp_path)) as process:
        assert process.popen.wait(20) == 3
        assert "the model has no tensor 'label' (it has: y)" in process.log.read_text()


def test_a_taken_port_exits_with_4(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with launched(tmp_path, models.linear(), port=port) as process:
            assert process.popen.wait(20) == 4
            assert f"127.0.0.1:{port} is in use" in process.log.read_text()


def test_a_bad_flag_exits_with_2_and_names_it(tmp_path):
    with launched(tmp_path, models.linear(), max_rows=0) as process:
        assert process.popen.wait(20) == 2
        assert "--max-rows" in process.log.read_text()


def test_sigterm_under_load_loses_no_request(tmp_path):
    with running(tmp_path, models.classifier(), drain_seconds=10) as process:
        stop, failures, answered = threading.Event(), [], [0] * 6

        def client(index):
            """Keeps a connection, reconnects when told to close, stops when the server drains."""
            connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
            while not stop.is_set():
                try:
                    connection.request("POST", "/predict", b'{"features":[1,2,3]}')
                    response = connection.getresponse()
                    response.read()
                except Exception as error:
                    failures.append(repr(error))
                    return
                answered[index] += 1
                if response.status != 200:
                    failures.append(response.status)

        threads = [threading.Thread(target=client, args=(index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: min(answered) > 20, 20)
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: process.get("/v2/health/ready").status == 503, 5)
        assert process.get("/health").json["status"] == "draining"
        at_drain = list(answered)
        until(lambda: all(now > then + 20 for now, then in zip(answered, at_drain, strict=True)), 10)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert process.popen.wait(15) == 0
        assert failures == []


def test_sigterm_waits_for_a_request_that_is_running(tmp_path):
    with running(tmp_path, models.heavy(512, 400), warmup=0) as process:
        answers = []
        client = threading.Thread(target=lambda: answers.append(process.predict([[1, 2]])))
        client.start()
        until(lambda: process.get("/metrics"), 5)
        assert process.stop() == 0
        client.join(10)
        assert answers[0].status == 200


def test_an_idle_server_stops_at_once_on_sigterm(tmp_path):
    with running(tmp_path, models.linear(), drain_seconds=30) as process:
        start = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - start < 3


def test_a_killed_server_is_ready_again_within_two_seconds(tmp_path):
    with running(tmp_path, models.linear()) as process:
        process.stop(signal.SIGKILL)
    with running(tmp_path, models.linear()) as process:
        # CPU time, since the machine may have other work; benchmarks/serving/restart.py looks at the clock.
        spent = psutil.Process(process.popen.pid).cpu_times()
        assert spent.user + spent.system < 2


def test_an_overloaded_server_refuses_with_retry_after_and_keeps_its_deadline(tmp_path):
    flags = {"queue": 2, "deadline_ms": 400, "execution": "thread", "endpoint": "e", "model_version": 3}
    with running(tmp_path, models.heavy(512, 200), warmup=0, **flags) as process:
        answers, slowest = [], []

        def client(_):
            for _turn in range(3):
                start = time.monotonic()
                answers.append(process.predict([[1, 2]]))
                slowest.append(time.monotonic() - start)

        in_threads(client, 8)
        statuses = {answer.status for answer in answers}
        assert statuses <= {200, 503, 504}
        assert 503 in statuses
        refused = next(answer for answer in answers if answer.status == 503)
        assert refused.headers["retry-after"] == "1"
        assert "the queue is full" in refused.json["error"]
        found = samples(process)
        counted = {
            outcome: value(found, "model_predictions_total", status=outcome)
            for outcome in ("ok", "overloaded", "timeout")
        }
        status = {"ok": 200, "overloaded": 503, "timeout": 504}
        assert counted == {
            outcome: sum(answer.status == code for answer in answers) for outcome, code in status.items()
        }


@pytest.mark.parametrize("opset", [9, 13, 15, 17, 18, 21])
def test_every_opset_is_served_as_the_runtime_computes_it(tmp_path, opset):
    content = models.linear(opset=opset)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)
    with running(tmp_path, content) as process:
        single = np.array(
            [process.predict(row.tolist()).json["prediction"] for row in rows], dtype=np.float32
        )
        alone = np.concatenate([session.run(None, {"X": row[None]})[0] for row in rows])
        assert single.tobytes() == alone.tobytes()
        batch = np.array(process.predict(rows.tolist()).json["predictions"], dtype=np.float32)
        assert np.allclose(batch, alone[:, 0], rtol=1e-5, atol=1e-6)


def test_limits_on_rows_and_bytes(tmp_path):
    with running(tmp_path, models.linear(), max_rows=4, max_body_bytes=2000) as process:
        assert process.predict([[1, 2, 3]] * 4).status == 200
        too_many = process.predict([[1, 2, 3]] * 5)
        assert (too_many.status, too_many.json["error"]) == (413, "5 rows are more than the 4 of one request")
        assert process.predict([[1, 2, 3]] * 1000).status == 413
        chunked = process.request("POST", "/predict", iter([b" " * 1500] * 3))
        assert chunked.status == 413


def test_sigterm_during_a_load_ends_the_process(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/never"
        flags = {"digest": "sha256:" + "0" * 64, "cache": tmp_path / "cache", "drain_seconds": 1}
        with launched(tmp_path, url, **flags) as process:
            process.port = until(lambda: port_of(process), 20)
            until(lambda: status_of(process, "/v2/health/live") == 200, 20)
            assert status_of(process, "/v2/health/ready") == 503
            loading = process.predict([1, 2, 3])
            assert (loading.status, loading.headers["retry-after"]) == (503, "1")
            assert process.stop() == 0


def port_of(process):
    lines = [line for line in process.log.read_text().splitlines() if "listening on port" in line]
    return int(lines[0].rsplit(" ", 1)[1]) if lines else 0


def status_of(process, path):
    try:
        return process.get(path).status
    except OSError:
        return None
