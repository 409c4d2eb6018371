"""What stands beside a version's servers and goes with them: pure functions from values to manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.containers import texts_of
from rollouts.adapters.kubernetes.manifests import labels, object_of
from rollouts.adapters.kubernetes.monitors import metrics_port, monitors
from rollouts.adapters.kubernetes.scaling import autoscaler
from rollouts.adapters.kubernetes.target import Target
from rollouts.adapters.kubernetes.workloads import kind_of
from rollouts.domain.desired import DesiredWorld, ReleaseSpec


def companions(
    world: DesiredWorld, release: ReleaseSpec, target: Target, owner: Mapping[str, Any]
) -> list[Manifest]:
    """What stands beside the servers and goes with them: `owner` is their Deployment or InferenceService."""
    marks = labels(world.endpoint, release.version)
    files = {"histograms.json": json.dumps(release.histograms, sort_keys=True)}
    if target.serving:
        files |= texts_of(target.serving, world, release, target.gpus)
    found = [
        object_of("v1", "ConfigMap", world, release, data=files),
        object_of("v1", "Service", world, release, spec={"selector": marks, "ports": _ports(target)}),
        object_of(
            "policy/v1", "PodDisruptionBudget", world, release,
            spec={"selector": {"matchLabels": marks}, "maxUnavailable": 1},
        ),
    ]  # fmt: skip
    found += optional(world, release, target)
    kind = kind_of(target)
    reference = {
        "apiVersion": kind.api,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    for manifest in found:
        manifest["metadata"]["ownerReferences"] = [reference]
    return found


def optional(world: DesiredWorld, release: ReleaseSpec, target: Target) -> list[Manifest]:
    """What stands there only where the environment asks for it."""
    scaled = target.max_replicas and target.workload == "deployment"
    return [
        *([autoscaler(world, release, target)] if scaled else []),
        *monitors(world, release, target),
    ]


def _ports(target: Target) -> list[Manifest]:
    """Port 80 for requests; the metrics' own, where a monitor of Services is to find it."""
    runtime, by_number = target.serving, target.request_port != "http"
    ports: list[Manifest] = [{"name": "http", "port": 80, "targetPort": target.request_port}]
    name, number = metrics_port(runtime)
    if name != "http":
        ports.append({"name": name, "port": number, "targetPort": number if by_number else name})
    return ports
