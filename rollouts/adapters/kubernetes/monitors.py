"""How Prometheus' operator is told to read a version's servers: pure functions from values to manifests."""

from __future__ import annotations

import re

from rollouts.adapters.kubernetes.api import POD_MONITOR, SERVICE_MONITOR, Manifest
from rollouts.adapters.kubernetes.manifests import labels, object_of
from rollouts.adapters.kubernetes.runtimes import Renamed, Runtime
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec


def monitors(world: DesiredWorld, release: ReleaseSpec, target: Target) -> list[Manifest]:
    """The one that the environment asks for: of the pods, or of their Service."""
    selector = {"matchLabels": labels(world.endpoint, release.version)}
    port = metrics_port(target.serving)
    if target.pod_monitor:
        # Containers of a ServingRuntime name their ports as they like.
        named = bool(target.serving and target.serving.serving_runtime)
        where = {"portNumber": port[1]} if named else {"port": port[0]}
        spec = {"selector": selector, "podMetricsEndpoints": [_scraped(target.serving, where)]}
        return [object_of(POD_MONITOR.api, POD_MONITOR.kind, world, release, spec=spec)]
    if target.service_monitor:
        spec = {"selector": selector, "endpoints": [_scraped(target.serving, {"port": port[0]})]}
        return [object_of(SERVICE_MONITOR.api, SERVICE_MONITOR.kind, world, release, spec=spec)]
    return []


def metrics_port(runtime: Runtime | None) -> tuple[str, int]:
    """The name and number of the port that has the metrics; ours has one for everything."""
    if runtime is None:
        return "http", 0
    if runtime.metrics_port in (0, runtime.port):
        return "http", runtime.port
    return "metrics", runtime.metrics_port


def _scraped(runtime: Runtime | None, where: Manifest) -> Manifest:
    """Our labels win over those that the operator adds (`endpoint` is one)."""
    if runtime is None:
        return {**where, "path": "/metrics", "honorLabels": True}
    added = [
        {"sourceLabels": [f"__meta_kubernetes_pod_label_slipway_dev_{name}"], "targetLabel": name}
        for name in ("endpoint", "version")
    ]
    renamed = [rule for theirs, ours in runtime.metrics.items() for rule in _rules(theirs, ours)]
    found: Manifest = {**where, "path": runtime.metrics_path, "relabelings": added}
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
