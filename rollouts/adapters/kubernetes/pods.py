"""From a Deployment and its pods to what the machine wants to know. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollouts.domain.snapshot import WorkloadStatus

# The model server's own exit status for an artifact that it will never serve (docs/serving.md).
NEVER = 3
_NOT_YET = frozenset({"PodInitializing", "ContainerCreating"})


def status_of(deployment: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> WorkloadStatus:
    """Ready and wanted servers, crashes, and the sentence that says what is wrong.

    Replicas of an older template do not count: until the controller has seen the newest, nothing is ready.
    """
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    status = deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    ready = status.get("readyReplicas", 0) if seen else 0
    outdated = max(0, status.get("replicas", 0) - status.get("updatedReplicas", 0))
    ready = max(0, min(ready - outdated, status.get("updatedReplicas", 0)))
    never = any(_terminated(container).get("exitCode") == NEVER for container in _containers(living))
    return WorkloadStatus(
        ready=ready,
        desired=deployment["spec"].get("replicas", 1),
        restarts=sum(container.get("restartCount", 0) for container in _containers(living)),
        failed=never and not ready,
        message=next((message for pod in living if (message := _trouble(pod))), "") or _refused(status),
    )


def _refused(status: Mapping[str, Any]) -> str:
    """Why pods could not even be made: a quota, a limit range, an admission policy."""
    for condition in status.get("conditions", []):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return f"the cluster makes no pod: {condition.get('message', condition.get('reason', ''))}"
    return ""


def _containers(pods: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for pod in pods:
        status = pod.get("status", {})
        yield from status.get("initContainerStatuses", [])
        yield from status.get("containerStatuses", [])


def _terminated(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """How it ended the last time, if it did."""
    for state in ("state", "lastState"):
        ended: Mapping[str, Any] | None = container.get(state, {}).get("terminated")
        if ended and ended.get("exitCode"):
            return ended
    return {}


def _trouble(pod: Mapping[str, Any]) -> str:
    """Why the pod is not ready, in the words of whoever knows: scheduler, kubelet, or the server itself."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return (
                f"waiting for a place in the cluster: {condition.get('message', condition.get('reason', ''))}"
            )
    for container in _containers([pod]):
        ended = _terminated(container)
        said = str(ended.get("message") or "").strip().splitlines()
        if ended and not container.get("ready"):
            return f"{container['name']} ended with {ended['exitCode']} ({ended.get('reason', '')})" + (
                f": {said[-1]}" if said else ""
            )
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in _NOT_YET:
            return f"{waiting.get('reason', 'waiting')}: {waiting.get('message', '')}".strip(": ")
    return ""
