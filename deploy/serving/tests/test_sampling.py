"""Sampled predictions: the rule, the record, and a control plane that is slow, broken, or away."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import threading
import time
from contextlib import contextmanager

import pytest

from deploy.serving import sampling
from deploy.serving.config import parse_options
from deploy.serving.sampling import sampled

from . import models
from .support import running, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Receiver:
    """A control plane that answers with what stands in `answers`, then with 202."""

    def __init__(self):
        self.posts, self.headers, self.answers, self.hold = [], [], [], threading.Event()
        self.refused = []
        self.hold.set()

    @property
    def records(self):
        return [record for post in self.posts for record in post["records"]]


@contextmanager
def receiving():
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.hold.wait(10)
            status, headers = receiver.answers.pop(0) if receiver.answers else (202, {})
            if status == 202:
                assert self.path == "/api/v1/predictions"
                receiver.posts.append(json.loads(gzip.decompress(body)))
                receiver.headers.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            answer = json.dumps({"refused": [receiver.refused.pop(0)] if receiver.refused else []}).encode()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def counted(process, status):
    for line in process.get("/metrics").body.decode().splitlines():
        if line.startswith(f'model_sampled_predictions_total{{status="{status}"}}'):
            return int(line.rsplit(" ", 1)[1])
    return None


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_the_rule_is_the_hash_of_the_id(rate):
    ids = [f"request-{number}" for number in range(2000)]
    chosen = [name for name in ids if sampled(name, rate)]
    expected = [
        name for name in ids if int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) < rate * 2**64
    ]
    assert chosen == expected
    assert abs(len(chosen) / 2000 - rate) < 0.05


def test_a_record_says_who_answered_what_to_whom(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    flags = {"sample_rate": 1, "sample_token_file": token, "sample_segment": "region, X-Tenant"}
    with (
        receiving() as receiver,
        running(
            tmp_path, models.labelled(), endpoint="e", model_version=4, sample_url=receiver.url, **flags
        ) as it,
    ):
        row = {"amount": 2, "colour": "red"}
        before = time.time()
        sent = {"X-Request-Id": "by-header", "X-Tenant": "acme", "X-Slipway-Mirror": "1"}
        it.predict(row, **sent, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        inputs = [
            {"name": "amount", "datatype": "FP32", "shape": [2, 1], "data": [1, 1.5]},
            {"name": "colour", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]},
        ]
        it.infer({"id": "by-body", "inputs": inputs, "parameters": {"region": "eu"}})
        made = it.predict(row)
        assert it.predict({"amount": "x"}).status == 422
        until(lambda: len(receiver.records) == 3, 10)
        first, second, third = receiver.records
        assert before - 1 < first.pop("at") < time.time() + 1
        assert first == {
            "endpoint": "e", "version": "4", "request_id": "by-header", "mirrored": True,
            "outputs": {"label": ["red"], "score": [4.0]}, "segment": {"X-Tenant": "acme"},
            "trace_id": TRACE,
        }  # fmt: skip
        assert second["outputs"] == {"label": ["a", "b"], "score": [2.0, 3.0]}
        assert (second["segment"], second["mirrored"]) == ({"region": "eu"}, False)
        assert "trace_id" not in second, "it has none"
        assert third["request_id"] == made.headers["x-request-id"]
        assert receiver.headers[0]["Authorization"] == "Bearer s3cret"
        until(lambda: counted(it, "sent") == 3, 5)


def test_only_the_chosen_share_is_sent_and_the_rest_at_sigterm(tmp_path):
    with (
        receiving() as receiver,
        running(tmp_path, models.linear(), sample_rate=0.3, sample_url=receiver.url) as process,
    ):
        ids = [f"r{number}" for number in range(100)]
        for name in ids:
            assert process.predict([1, 2, 3], **{"X-Request-Id": name}).status == 200
        assert process.stop() == 0
        assert [record["request_id"] for record in receiver.records] == [n for n in ids if sampled(n, 0.3)]


def test_a_busy_control_plane_gets_the_same_records_later(tmp_path):
    with (
        receiving() as receiver,
        running(tmp_path, models.linear(), sample_rate=1, sample_url=receiver.url) as process,
    ):
        receiver.answers += [(429, {"Retry-After": "1"})]
        process.predict([1, 2, 3], **{"X-Request-Id": "a"})
        until(lambda: receiver.records, 15)
        assert [record["request_id"] for record in receiver.records] == ["a"]
        receiver.answers += [(401, {})]
        process.predict([1, 2, 3], **{"X-Request-Id": "b"})
        until(lambda: counted(process, "rejected") == 1, 10)
        assert "401" in process.log.read_text()
        receiver.refused += [{"index": 0, "reason": "at: It lies in the future."}]
        process.predict([1, 2, 3], **{"X-Request-Id": "c"})
        until(lambda: counted(process, "rejected") == 2, 10)
        assert counted(process, "sent") == 1, "a record that was not taken is not sent"
        assert "It lies in the future." in process.log.read_text()


def test_predictions_do_not_wait_for_a_control_plane_that_hangs_or_is_away(tmp_path):
    with (
        receiving() as receiver,
        running(tmp_path, models.linear(), sample_rate=1, sample_url=receiver.url) as process,
    ):
        receiver.hold.clear()
        assert all(process.predict([1, 2, 3]).status == 200 for _ in range(50))
        receiver.hold.set()
    token = tmp_path / "token"
    token.write_text("one\ntwo")  # which can stand in no header
    with receiving() as receiver:
        sampler = sampling.Sampler(sampling.Destination(receiver.url, token_file=token), 1.0)
        sampler.offer(*call("r"))
        until(lambda: sampler._told, 10)
        token.write_text("one")
        until(lambda: receiver.records, 10)
        sampler.close()
    with running(tmp_path, models.linear(), sample_rate=1, sample_url="http://127.0.0.1:9") as process:
        assert all(process.predict([1, 2, 3]).status == 200 for _ in range(50))
        assert process.stop() == 0


def test_a_full_buffer_drops_and_counts(monkeypatch):
    monkeypatch.setattr(sampling, "BUFFERED_RECORDS", 3)
    monkeypatch.setattr(sampling.Sampler, "_work", lambda self: None)
    sampler = sampling.Sampler(sampling.Destination("http://127.0.0.1:9"), 1.0)
    for number in range(5):
        sampler.offer(*call(f"r{number}"))
    assert (len(sampler._records), sampler.counts["dropped"].value) == (3, 2)


def test_a_post_stays_within_its_limits(monkeypatch):
    monkeypatch.setattr(sampling.Sampler, "_work", lambda self: None)
    sampler = sampling.Sampler(sampling.Destination("http://127.0.0.1:9"), 1.0)
    for number in range(1500):
        sampler.offer(*call(f"r{number}"))
    assert [len(sampler._take()) for _ in range(3)] == [1000, 500, 0]
    monkeypatch.setattr(sampling, "MOST_BYTES", 500)
    for number in range(9):
        sampler.offer(*call(f"r{number}"))
    sizes = []
    while batch := sampler._take():
        sizes.append(len(batch))
        assert sum(map(len, batch)) < 500
    assert sum(sizes) == 9
    assert len(sizes) > 1


def test_an_output_too_wide_for_a_record_is_left_out(monkeypatch):
    monkeypatch.setattr(sampling.Sampler, "_work", lambda self: None)
    sampler = sampling.Sampler(sampling.Destination("http://127.0.0.1:9"), 1.0)
    sampler.offer(*call("r", width=1001))
    assert (len(sampler._records), sampler.counts["dropped"].value) == (0, 1)


def call(name, width=1):
    """The parts of a call that sampling looks at, its labels, its signature and its outputs."""
    from types import SimpleNamespace

    import numpy as np

    from deploy.serving.datatypes import BY_OIP
    from deploy.serving.metrics import Metrics
    from deploy.serving.signature import Signature, TensorSpec

    made = SimpleNamespace(
        parsed=SimpleNamespace(id=name),
        request=SimpleNamespace(headers={}),
    )
    signature = Signature((), (TensorSpec("y", BY_OIP["FP32"], (-1, width)),))
    return made, Metrics("e", "m", "1").labels, signature, [np.ones((1, width), dtype=np.float32)]


def test_the_token_comes_from_the_environment_and_never_shows():
    options = parse_options(["--artifact", "x"], {"SLIPWAY_SERVING_SAMPLE_TOKEN": "s3cret"})
    assert options.sample_token == "s3cret"
    assert "s3cret" not in repr(options)
    with pytest.raises(SystemExit):
        parse_options(["--artifact", "x", "--sample-rate", "1.5"], {})
