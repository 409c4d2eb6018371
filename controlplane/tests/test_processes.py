"""What processes measure of themselves: requests by route, tasks of a worker's children, over real ports."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from registry.tests.people import people
from tests.servers.waiting import ROOT, free_port

__all__ = ["people"]
FORKING = """
import os, sys
from controlplane import processes
processes.share()
from monitoring.adapters import process_metrics
for _ in range(2):
    if os.fork() == 0:
        process_metrics.task_done("rollouts.tick", "SUCCESS", 0.02)
        os._exit(0)
os.wait(); os.wait()
process_metrics.serve_or_tell(int(sys.argv[1]))
process_metrics.serve_or_tell(int(sys.argv[1]))
print("served", flush=True)
sys.stdin.read()
"""


@pytest.mark.django_db
def test_a_request_is_counted_by_its_route_and_never_by_its_path(client, people):
    client.force_login(people["viewer"])
    client.get("/models/no-such-model/")
    client.generic("MADEUP", "/models/")
    text = client.get("/metrics").content.decode()
    line = 'slipway_request_duration_seconds_count{code="4xx",method="GET",route="/models/<str:name>/"}'
    assert line in text and 'method="other"' in text
    assert "no-such-model" not in text and 'route="/metrics"' not in text


def test_processes_that_were_forked_are_counted_together_and_a_port_that_is_taken_costs_nothing_else():
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(port)],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "served\n"
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    finally:
        _, said = process.communicate("", timeout=20)
    assert 'slipway_task_duration_seconds_count{outcome="success",task="rollouts.tick"} 2.0' in text
    assert f"SLIPWAY_METRICS_PORT {port}" in said


WEB = """
import os, sys, django
django.setup()
import controlplane.urls
print([name for name in ("onnxruntime", "pyarrow", "kubernetes") if name in sys.modules], os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_a_web_process_bears_nothing_that_only_others_need():
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    done = subprocess.run(
        [sys.executable, "-c", WEB], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "[] 1\n", done.stderr


def test_nothing_that_runs_models_tells_their_makers_of_it():
    """ONNX Runtime reports its use to the internet unless this is set before it is imported."""
    from registry.inspect.sandbox import _ENVIRONMENT

    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = "import os, deploy.serving; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "1\n" and _ENVIRONMENT["ORT_DISABLE_TELEMETRY"] == "1"
    for image in ("control-plane", "serving"):
        assert "ORT_DISABLE_TELEMETRY=1" in (ROOT / "deploy/images" / f"{image}.Dockerfile").read_text()
