"""Another model server from a template: any program that answers over HTTP, here one that lists files."""

from __future__ import annotations

import pytest

from rollouts import reconcile
from rollouts.adapters.kubernetes import GatewayApiRouter
from rollouts.adapters.kubernetes.target import parse
from tests.e2e.place import IMAGE
from tests.e2e.test_rollouts import begin

pytestmark = pytest.mark.django_db


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
