"""What stands beside a version's servers and goes with them: pure functions from values to manifests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.containers import texts_of
from rollouts.adapters.kubernetes.manifests import labels, name_of, object_of
from rollouts.adapters.kubernetes.runtimes import Renamed, Runtime
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec


def companions(
    world: DesiredWorld, release: ReleaseSpec, target: Target, owner: Mapping[str, Any]
) -> list[Manifest]:
    """What stands beside the servers and goes with them: `owner` is their Deployment."""
    marks = labels(world.endpoint, release.version)
    files = {"histograms.json": json.dumps(release.histograms, sort_keys=True)}
    if target.serving:
        files |= texts_of(target.serving, world, release, target.gpus)
    found = [
        object_of("v1", "ConfigMap", world, release, data=files),
        object_of(
            "v1", "Service", world, release,
            spec={"selector": marks, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        ),
        object_of(
            "policy/v1", "PodDisruptionBudget", world, release,
            spec={"selector": {"matchLabels": marks}, "maxUnavailable": 1},
        ),
    ]  # fmt: skip
    if target.max_replicas:
        found.append(_autoscaler(world, release, target))
    if target.pod_monitor:
        spec = {"selector": {"matchLabels": marks}, "podMetricsEndpoints": [_scraped(target.serving)]}
        found.append(object_of("monitoring.coreos.com/v1", "PodMonitor", world, release, spec=spec))
    reference = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    for manifest in found:
        manifest["metadata"]["ownerReferences"] = [reference]
    return found


def _scraped(runtime: Runtime | None) -> Manifest:
    """How Prometheus reads the pods. Our labels win over those that its operator adds (`endpoint` is one)."""
    if runtime is None:
        return {"port": "http", "path": "/metrics", "honorLabels": True}
    own = "metrics" if runtime.metrics_port not in (0, runtime.port) else "http"
    labels = [
        {"sourceLabels": [f"__meta_kubernetes_pod_label_slipway_dev_{name}"], "targetLabel": name}
        for name in ("endpoint", "version")
    ]
    renamed = [rule for theirs, ours in runtime.metrics.items() for rule in _rules(theirs, ours)]
    found: Manifest = {"port": own, "path": runtime.metrics_path, "relabelings": labels}
    return {**found, "metricRelabelings": renamed} if renamed else found


def _rules(theirs: str, ours: tuple[Renamed, ...]) -> list[Manifest]:
    """Relabelling of one of their metrics. The name last: the others look for the one that it had."""
    rules = [
        {
            "sourceLabels": ["__name__", *one.where],
            "regex": ";".join((re.escape(theirs), *(f"({match})" for match in one.where.values()))),
            "targetLabel": label,
            "replacement": value,
        }
        for one in ours
        for label, value in one.labels.items()
    ]
    name = {
        "sourceLabels": ["__name__"], "regex": re.escape(theirs), "targetLabel": "__name__",
        "replacement": ours[0].name,
    }  # fmt: skip
    return [*rules, name]


def _autoscaler(world: DesiredWorld, release: ReleaseSpec, target: Target) -> Manifest:
    name = name_of(world.endpoint, release.version)
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": release.replicas,
        "maxReplicas": max(release.replicas, target.max_replicas),
        "metrics": [_followed(target)],
    }
    return object_of("autoscaling/v2", "HorizontalPodAutoscaler", world, release, spec=spec)


def _followed(target: Target) -> Manifest:
    """What the autoscaler follows: a metric of the pods through the custom metrics API, else their CPU."""
    if target.scale_on:
        average = {"type": "AverageValue", "averageValue": target.scale_on["value"]}
        return {"type": "Pods", "pods": {"metric": {"name": target.scale_on["metric"]}, "target": average}}
    utilization = {"type": "Utilization", "averageUtilization": target.target_cpu_percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
