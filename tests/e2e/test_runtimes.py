"""Another model server from a template: any program that answers over HTTP, here one that lists files."""

from __future__ import annotations

import pytest
from django.utils import timezone

from rollouts import reconcile
from rollouts.adapters.kubernetes import GatewayApiRouter
from rollouts.adapters.kubernetes.target import parse
from tests.e2e.kserve import SERVICES
from tests.e2e.place import IMAGE
from tests.e2e.test_rollouts import begin

pytestmark = pytest.mark.django_db


def test_a_rollout_moves_servers_that_kserve_runs(place, controller, predictors, db, monkeypatch):
    if not predictors:
        pytest.skip("the cluster has no serving.kserve.io")
    live = begin(place, GatewayApiRouter, place.target(workload="inferenceservice"))
    monkeypatch.setattr(reconcile, "judge", live.judged)
    try:
        live.serving()
        before = {pod["metadata"]["uid"] for pod in place.pods(live.endpoint.name, "1")}
        live.start(2)
        live.until(lambda: (live.weights() or {}).get("2") == 50)
        # Decisions have been written to it meanwhile, and no pod was replaced for that.
        assert {pod["metadata"]["uid"] for pod in place.pods(live.endpoint.name, "1")} == before
        live.ends("succeeded")
        reconcile.retire_previous(timezone.now())
        live.alone("2")
    finally:
        where = SERVICES.format(place.name)
        place.call("DELETE", where, labelSelector=f"slipway.dev/endpoint={live.endpoint.name}")
        live.remove()


def test_a_rollout_moves_servers_that_a_template_describes(place, controller, db, monkeypatch):
    plain = {
        "image": IMAGE, "command": ["python", "-m", "http.server"], "args": ["8000", "-d", "/models/{model}"],
        "port": 8000, "file": "{model}/{version}.onnx",
    }  # fmt: skip
    kept = ("namespace", "image", "env_from", "cpu", "memory", "gateway")
    own = {name: getattr(place.target(), name) for name in kept}
    where = parse({"default": {**own, "runtime": "plain"}, "runtimes": {"plain": plain}})
    live = begin(place, GatewayApiRouter, where.default)
    monkeypatch.setattr(reconcile, "judge", live.judged)
    try:
        live.serving()
        live.start(2)
        live.ends("succeeded")
        (pod,) = live.place.pods(live.endpoint.name, "2")
        listing = place.call("GET", f"/pods/{pod['metadata']['name']}:8000/proxy/")
        assert "2.onnx" in listing
    finally:
        live.remove()
