"""From a Deployment and its pods to what the machine wants to know. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollouts.domain.snapshot import WorkloadStatus

# The model server's own exit status for an artifact that it will never serve (docs/serving.md).
NEVER = 3
_NOT_YET = frozenset({"PodInitializing", "ContainerCreating"})
# A Deployment's pod ends only when the cluster ends it: evicted, preempted, refused by its node.
_ENDED = frozenset({"Failed", "Succeeded"})


def status_of(deployment: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> WorkloadStatus:
    """Ready and wanted servers, crashes, and the sentence that says what is wrong.

    Replicas of an older template do not count: until the controller has seen the newest, nothing is ready.
    """
    here = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    living = [pod for pod in here if pod.get("status", {}).get("phase") not in _ENDED]
    status = deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    ready = status.get("readyReplicas", 0) if seen else 0
    outdated = max(0, status.get("replicas", 0) - status.get("updatedReplicas", 0))
    ready = max(0, min(ready - outdated, status.get("updatedReplicas", 0)))
    desired = deployment["spec"].get("replicas", 1)
    never = any(_terminated(container).get("exitCode") == NEVER for container in _containers(living))
    restarts = sum(container.get("restartCount", 0) for container in _containers(living))
    said = [message for pod in living if (message := _trouble(pod))] + [_refused(status)]
    if ready < desired:
        said += [_end(pod) for pod in here if pod not in living]
    return WorkloadStatus(
        ready=ready,
        desired=desired,
        restarts=restarts,
        failed=never and not ready,
        moved=not ready and not restarts and all(map(_is_moved, living)),
        message=next(filter(None, said), ""),
    )


def _end(pod: Mapping[str, Any]) -> str:
    """Why the cluster ended it, such as `Evicted: The node was low on resource: memory.`"""
    status = pod.get("status", {})
    return f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")


def _is_moved(pod: Mapping[str, Any]) -> bool:
    """Whether its server is not ready through no fault of its own: it still starts, or its node is lost."""
    containers = pod.get("status", {}).get("containerStatuses", [])
    starts = not containers or any(not one.get("started") for one in containers)
    return starts or _is_cut_off(pod) or not _was_ready(pod)


def _was_ready(pod: Mapping[str, Any]) -> bool:
    """Whether it has been ready since its containers began to run; that is looked at some seconds later."""
    status = pod.get("status", {})
    begun = [
        one.get("state", {}).get("running", {}).get("startedAt", "") for one in status["containerStatuses"]
    ]
    changed = [
        one.get("lastTransitionTime", "")
        for one in status.get("conditions", [])
        if one.get("type") == "Ready"
    ]
    return not all(begun) or not changed or changed[0] > max(begun)


def _is_cut_off(pod: Mapping[str, Any]) -> bool:
    """Whether the cluster calls it not ready although its kubelet last called all its containers ready."""
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    ready = [one for one in status.get("conditions", []) if one.get("type") == "Ready"]
    return (
        bool(ready and containers)
        and not pod.get("spec", {}).get("readinessGates")
        and (ready[0].get("status") != "True" and all(container.get("ready") for container in containers))
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
    if _is_cut_off(pod):
        return f"nothing is heard of its node {pod.get('spec', {}).get('nodeName', '')}"
    return ""
