"""Shadow comparison with real servers: requests through the gateway, a mirrored version, a control plane.

Both servers sample by the request id that the gateway gave, so every sampled request is there twice.
"""

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime

import numpy as np
import onnx
import pytest
from django.contrib.auth.models import User
from onnx import numpy_helper

from deploy.files import write_json
from deploy.fleet.ports import free_port
from deploy.serving.tests import models
from deploy.serving.tests.support import ROOT, running, until
from monitoring.adapters.memory import MemorySource
from monitoring.analysis import Subject, judge
from monitoring.domain.judge import Verdict, parse_gates
from monitoring.domain.samples import sampled
from monitoring.domain.window import Window
from monitoring.models import Prediction
from monitoring.samples.ingest import take_labels
from monitoring.samples.outcomes import outcomes_of
from monitoring.samples.pairs import paired
from registry import tokens
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.identity import grant

ENDPOINT, REQUESTS, RATE = "shadow-test", 60, 0.5


def shifted(by):
    """The linear model, its answers higher by so much."""
    proto = onnx.load_model_from_string(models.linear())
    (bias,) = (item for item in proto.graph.initializer if item.name == "b")
    bias.CopyFrom(numpy_helper.from_array(np.array([0.5 + by], dtype=np.float32), "b"))
    return proto.SerializeToString()


@pytest.fixture
def token_file(transactional_db, tmp_path):
    user = User.objects.create(username="fleet")
    grant(user, Role.ENGINEER)
    _, secret = tokens.create_token(user=user, name="fleet", scopes=["ingest"], actor=SYSTEM)
    path = tmp_path / "token"
    path.write_text(secret)
    return path


@pytest.fixture
def gateway(live_server, token_file, tmp_path):
    """The address of a gateway that sends all requests to version 1 and copies of all to version 2."""
    flags = {
        "endpoint": ENDPOINT, "sample_url": live_server.url, "sample_rate": RATE,
        "sample_token_file": token_file, "sample_segment": "x-country",
    }  # fmt: skip
    with ExitStack() as stack:
        entries = []
        for version, artifact in (("1", models.linear()), ("2", shifted(0.25))):
            folder = tmp_path / version
            folder.mkdir()
            server = stack.enter_context(running(folder, artifact, model_version=version, **flags))
            entries.append(
                {"version": version, "instance": version, "host": "127.0.0.1", "port": server.port, "state": "ready"}
            )  # fmt: skip
        write_json(tmp_path / "fleet" / "status.json", {"at": time.time(), "endpoints": {ENDPOINT: entries}})
        route = {
            "endpoint": ENDPOINT, "model": "m", "split": [{"version": "1", "weight": 100}],
            "mirror": [{"version": "2", "percent": 100}],
        }  # fmt: skip
        write_json(tmp_path / "gateway" / "routes" / f"{ENDPOINT}.json", route)
        port = free_port()
        command = [sys.executable, "-m", "deploy.gateway", "--home", str(tmp_path), "--port", str(port)]
        with (tmp_path / "gateway.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        url = f"http://127.0.0.1:{port}/{ENDPOINT}/predict"
        until(lambda: _answers(url), 15, lambda: (tmp_path / "gateway.log").read_text())
        yield url


def _ask(url, request_id=None):
    headers = {"Content-Type": "application/json", "x-country": "no"}
    if request_id:
        headers["x-request-id"] = request_id
    body = json.dumps({"features": [1.0, 2.0, 3.0]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        return answer.headers["x-request-id"], answer.headers["x-slipway-version"]


def _answers(url):
    try:
        return _ask(
            url, "not-sampled-" + next(str(n) for n in range(99) if not sampled(f"not-sampled-{n}", RATE))
        )
    except OSError:
        return None


def test_both_versions_sample_the_same_requests_and_pair_by_their_id(gateway):
    start = datetime.now(UTC)
    ids = [_ask(gateway, f"own-{number}" if number % 2 else None)[0] for number in range(REQUESTS)]
    wanted = {request_id for request_id in ids if sampled(request_id, RATE)}
    assert 10 < len(wanted) < 50
    until(lambda: Prediction.objects.count() >= 2 * len(wanted), 20, lambda: str(Prediction.objects.count()))
    rows = Prediction.objects.values_list("version", "request_id", "mirrored", "segment")
    assert {row[:3] for row in rows} == {
        (version, request_id, version == "2") for version in ("1", "2") for request_id in wanted
    }
    assert all(row[3] == {"x-country": "no"} for row in rows)

    window = Window(start, datetime.now(UTC))
    found = paired(ENDPOINT, "1", "2", window)
    assert {pair.request_id for pair in found.pairs} == wanted
    assert {(pair.stable[0], pair.candidate[0]) for pair in found.pairs} == {(14.5, 14.75)}
    gates = parse_gates(
        [{"kind": "paired_predictions", "min_samples": 30, "tolerance": 0.3, "min_agreement": 0.5}]
    )
    subject = Subject(endpoint=ENDPOINT, stable="1", candidate="2", window=window)
    verdict = judge(gates, subject, MemorySource(), window.end).verdict
    assert verdict is (Verdict.PASS if len(wanted) >= 30 else Verdict.NO_DATA)

    take_labels([{"endpoint": ENDPOINT, "request_id": key, "value": True} for key in ids], time.time())
    assert outcomes_of(ENDPOINT, "label", ["1", "2"], window)["1"].n == len(wanted)
    assert outcomes_of(ENDPOINT, "label", ["1", "2"], window)["2"].n == 0, "nobody saw its answers"
