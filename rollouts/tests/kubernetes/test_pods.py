"""What a Deployment and its pods say, as the machine wants to know it."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.adapters.kubernetes.pods import status_of

RUNNING = {"name": "server", "ready": True, "started": True, "restartCount": 0, "state": {"running": {}}}
STARTING = {**RUNNING, "ready": False, "started": False}
SILENT = {**RUNNING, "ready": False}
CRASHED = {**STARTING, "restartCount": 1, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}


def deployment(ready: int, wanted: int = 1) -> dict[str, Any]:
    status = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}
    return {"metadata": {}, "spec": {"replicas": wanted}, "status": status}


def begun(at: str) -> dict[str, Any]:
    """Running and started, but not ready."""
    return {**SILENT, "state": {"running": {"startedAt": f"2026-11-21T{at}Z"}}}


def pod(
    container: dict[str, Any] | None = None,
    *,
    phase: str = "Running",
    ready: str = "False",
    since: str = "",
    **status: Any,
):
    conditions = [{"type": "Ready", "status": ready}]
    if since:
        conditions[0]["lastTransitionTime"] = f"2026-11-21T{since}Z"
    containers = [container] if container else []
    status = {"phase": phase, "conditions": conditions, "containerStatuses": containers, **status}
    return {"metadata": {}, "spec": {"nodeName": "node-7"}, "status": status}


EVICTED = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")


@pytest.mark.parametrize(
    ("pods", "moved", "says"),
    [
        ([], True, ""),
        ([pod(STARTING)], True, ""),
        ([EVICTED, pod(phase="Pending")], True, "Evicted: The node was low on resource: memory."),
        ([pod(RUNNING)], True, "nothing is heard of its node node-7"),
        ([pod(SILENT)], False, ""),
        ([pod(begun("10:00:07"), since="10:00:02")], True, ""),
        ([pod(begun("10:00:07"), since="10:03:00")], False, ""),
        ([pod(CRASHED)], False, "server ended with 1 (Error)"),
        ([pod(STARTING), pod(SILENT)], False, ""),
    ],
    ids=[
        "no pod yet",
        "starting",
        "evicted",
        "node lost",
        "silent",
        "not looked at yet",
        "fell silent",
        "crashed",
        "one silent",
    ],
)
def test_servers_that_the_cluster_moves_are_told_from_servers_that_fail(pods, moved, says):
    status = status_of(deployment(0), pods)
    assert (status.moved, status.failed, status.message) == (moved, False, says)


def test_a_pod_that_was_evicted_is_forgotten_once_another_serves():
    status = status_of(deployment(1), [EVICTED, pod(RUNNING, ready="True")])
    assert (status.ready, status.moved, status.restarts, status.message) == (1, False, 0, "")


def test_what_an_evicted_server_did_before_its_end_is_not_counted():
    ended = {**CRASHED, "restartCount": 7, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    gone = pod(ended, phase="Failed", reason="Evicted", message="low on memory")
    status = status_of(deployment(0), [gone, pod(STARTING)])
    assert (status.restarts, status.failed, status.message) == (0, False, "Evicted: low on memory")


def test_a_gate_that_others_put_before_readiness_is_no_lost_node():
    gated = pod(RUNNING)
    gated["spec"]["readinessGates"] = [{"conditionType": "target-health.example.org"}]
    assert status_of(deployment(0), [gated]).message == ""
