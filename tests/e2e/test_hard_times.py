"""What happens to clusters while a rollout is under way: quotas, autoscalers, drains, API servers that restart."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from rollouts.adapters.kubernetes import GatewayApiRouter, KubernetesCluster
from rollouts.adapters.kubernetes.target import Targets
from rollouts.reconcile import Ports
from tests.e2e.place import MERGE, Refused
from tests.e2e.test_rollouts import live  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("live", [GatewayApiRouter], indirect=True)]
DEPLOYMENT = "/apis/apps/v1/namespaces/{}/deployments/{}"


def test_a_quota_that_leaves_no_room_is_named_and_the_rollout_goes_on_once_there_is(live):  # noqa: F811
    everything = live.place.call("GET", "/pods")["items"]
    # Those that an earlier test left are ending; the quota counts them until they are gone.
    pods = len([pod for pod in everything if "deletionTimestamp" not in pod["metadata"]])
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}}
    live.place.apply({**quota, "spec": {"hard": {"pods": str(pods)}}}, "resourcequotas")
    try:
        live.start(2)
        live.until(lambda: "exceeded quota" in str(live.endpoint.observed))
        assert live.weights() == {"1": 100}
        live.place.apply({**quota, "spec": {"hard": {"pods": str(pods + 5)}}}, "resourcequotas")
        live.ends("succeeded")
    finally:
        live.place.call("DELETE", "/resourcequotas/small")


def test_an_autoscaler_scales_during_the_rollout_and_is_let(live):  # noqa: F811
    where = Targets(live.place.target(max_replicas=2), {})
    namespace = live.place.namespace()
    cluster = KubernetesCluster(where, lambda _: namespace)
    live.ports = Ports(cluster, live.ports.router, live.ports.metrics, live.ports.artifacts)
    live.start(2, hold_seconds=10)
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    path = DEPLOYMENT.format(live.place.name, f"{live.endpoint.name}-v2")
    # More than the autoscaler's bound: its controller brings the number down to 2, without us.
    live.place.call("PATCH", f"{path}/scale", {"spec": {"replicas": 3}}, MERGE)
    live.until(lambda: live.place.call("GET", path)["spec"]["replicas"] == 2)
    live.ends("succeeded")
    for _ in range(3):
        live.tick()
    assert live.place.call("GET", path)["spec"]["replicas"] == 2


def test_a_node_is_drained_during_the_rollout(live):  # noqa: F811
    live.start(2, hold_seconds=5)
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    (pod,) = live.place.pods(live.endpoint.name, "2")
    node = f"/api/v1/nodes/{pod['spec']['nodeName']}"
    live.place.call("PATCH", node, {"spec": {"unschedulable": True}}, MERGE)
    try:
        name = pod["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        live.place.call("POST", f"/pods/{name}/eviction", eviction)
        live.until(lambda: not live.endpoint.observed["workloads"].get("2", {}).get("ready"))
        assert live.newest().finished_at is None
    finally:
        live.place.call("PATCH", node, {"spec": {"unschedulable": False}}, MERGE)
    live.ends("succeeded")
    assert live.weights() == {"2": 100}


def test_the_api_server_restarts_during_the_rollout(live):  # noqa: F811
    command = os.environ.get("SLIPWAY_E2E_RESTART")
    if not command:
        pytest.skip("SLIPWAY_E2E_RESTART names no command that restarts the API server")
    live.start(2, hold_seconds=5)
    live.until(lambda: live.weights() == {"2": 50, "1": 50})
    restart = subprocess.Popen(command, shell=True)
    problems = set()

    def over() -> bool:
        problems.add(live.endpoint.observed.get("problem", "")[:40])
        return restart.poll() is not None

    live.until(over)
    assert any(problems), "the API server was never away"
    assert live.newest().phase in ("progressing", "holding")
    while True:
        try:
            live.place.call("GET", "/pods")
            break
        except (Refused, OSError, Exception):
            time.sleep(0.3)
    live.ends("succeeded")
