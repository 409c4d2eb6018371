"""What nodes offer, what pods have asked for and what quotas leave, read once per some seconds."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes.utils import parse_quantity

from rollouts.adapters.kubernetes.api import NODE, POD, QUOTA, Api, Manifest
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.room import GPU, Node, Quota, Room, room

FRESH_SECONDS = 10.0
_ENDED = ("Succeeded", "Failed")
_BARRING = ("NoSchedule", "NoExecute")


@dataclass
class Capacity:
    """One cluster's nodes and what is asked of them; `forget` after something of ours came or went."""

    api: Api
    _seen: dict[str, tuple[float, list[Manifest]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def room(self, target: Target) -> Room:
        """For servers of this target. WorldUnavailable when it may not be looked at."""
        with self._lock:
            nodes = self._kept("nodes", lambda: self.api.list_all(NODE))
            pods = self._kept("pods", lambda: self.api.list_all(POD))
            quotas = self._kept(target.namespace, lambda: self.api.list(QUOTA, target.namespace, ""))
        return room(need(target), nodes_of(nodes, pods, target), map(quota_of, quotas))

    def forget(self) -> None:
        with self._lock:
            self._seen.clear()

    def _kept(self, what: str, ask: Callable[[], list[Manifest]]) -> list[Manifest]:
        at, found = self._seen.get(what, (-FRESH_SECONDS, []))
        if time.monotonic() - at >= FRESH_SECONDS:
            found = ask()
            self._seen[what] = (time.monotonic(), found)
        return found


def need(target: Target) -> dict[str, float]:
    """What one server asks for."""
    asked = {"cpu": target.cpu, "memory": target.memory, "pods": 1}
    if target.gpus:
        asked[GPU] = target.gpus
    return _numbers(asked)


def nodes_of(nodes: Iterable[Manifest], pods: Iterable[Manifest], target: Target) -> list[Node]:
    """Each node with what its pods ask for, and why a server of this target may not go there."""
    requested: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pod in pods:
        where = pod["spec"].get("nodeName")
        if where and pod.get("status", {}).get("phase") not in _ENDED:
            for name, amount in requests_of(pod["spec"]).items():
                requested[where][name] += amount
            requested[where]["pods"] += 1
    return [
        Node(
            name=node["metadata"]["name"],
            allocatable=_numbers(node["status"].get("allocatable", {})),
            requested=dict(requested[node["metadata"]["name"]]),
            barred=barred(node, target),
        )
        for node in nodes
    ]


def requests_of(spec: Mapping[str, Any]) -> dict[str, float]:
    """What the scheduler counts: the sum of the containers, or the largest init step, and the overhead."""
    total: dict[str, float] = defaultdict(float)
    for container in spec.get("containers", []):
        for name, amount in _numbers(container.get("resources", {}).get("requests", {})).items():
            total[name] += amount
    for container in spec.get("initContainers", []):
        asked = _numbers(container.get("resources", {}).get("requests", {}))
        for name, amount in asked.items():
            if container.get("restartPolicy") == "Always":
                total[name] += amount
            else:
                total[name] = max(total[name], amount)
    for name, amount in _numbers(spec.get("overhead", {})).items():
        total[name] += amount
    return total


def barred(node: Mapping[str, Any], target: Target) -> str:
    """Why the scheduler would not put a server there; empty when it may."""
    labels = node["metadata"].get("labels", {})
    spec = node.get("spec", {})
    if spec.get("unschedulable"):
        return "cordoned"
    conditions = node.get("status", {}).get("conditions", [])
    if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return "not ready"
    for name, value in target.node_selector.items():
        if labels.get(name) != value:
            return f"has no label {name}={value}"
    for taint in spec.get("taints", []):
        if taint.get("effect") in _BARRING and not any(_tolerates(one, taint) for one in target.tolerations):
            return f"its taint {taint['key']} is not tolerated"
    return ""


def quota_of(item: Mapping[str, Any]) -> Quota:
    """The limits on requests; a limit on limits counts the same, as ours are equal for memory and GPUs."""
    status = item.get("status", {})
    return Quota(item["metadata"]["name"], *(_asked(status.get(side, {})) for side in ("hard", "used")))


def _asked(amounts: Mapping[str, Any]) -> dict[str, float]:
    return {name.removeprefix("requests."): amount for name, amount in _numbers(amounts).items()}


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same = toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")
    return bool(same)


def _numbers(amounts: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(parse_quantity(amount))  # type: ignore[no-untyped-call]
        for name, amount in amounts.items()
    }
