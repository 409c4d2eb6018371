"""Who changes the number of a version's servers, and by what: pure functions from values to manifests."""

from __future__ import annotations

from rollouts.adapters.kubernetes.api import DEPLOYMENT, HPA, SCALED_OBJECT, Manifest
from rollouts.adapters.kubernetes.manifests import name_of, object_of
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec


def autoscaler(world: DesiredWorld, release: ReleaseSpec, target: Target) -> Manifest:
    """Kubernetes' own autoscaler, or KEDA's ScaledObject where the environment names a Prometheus for it."""
    most = max(release.replicas, target.max_replicas)
    servers = {
        "apiVersion": DEPLOYMENT.api,
        "kind": DEPLOYMENT.kind,
        "name": name_of(world.endpoint, release.version),
    }
    if target.keda:
        spec: Manifest = {
            "scaleTargetRef": servers,
            "minReplicaCount": release.replicas,
            "maxReplicaCount": most,
            "triggers": [_trigger(world, release, target)],
        }
        return object_of(SCALED_OBJECT.api, SCALED_OBJECT.kind, world, release, spec=spec)
    spec = {
        "scaleTargetRef": servers,
        "minReplicas": release.replicas,
        "maxReplicas": most,
        "metrics": [_followed(target)],
    }
    return object_of(HPA.api, HPA.kind, world, release, spec=spec)


def prometheus(world: DesiredWorld, release: ReleaseSpec, target: Target) -> tuple[str, str, str]:
    """The server that KEDA asks, the query, and how much of it each of the version's servers may have.

    Of a metric named alone the sum over the version's servers is asked; `query` is PromQL with {endpoint} and
    {version} in it.
    """
    values = {"endpoint": world.endpoint, "version": release.version}
    asked = target.scale_on.get("query", "")
    if not asked:
        label = "version" if target.serving else "model_version"
        asked = f'sum({target.scale_on["metric"]}{{{{endpoint="{{endpoint}}",{label}="{{version}}"}}}})'
    return target.keda["server"], asked.format(**values), target.scale_on["value"]


def _trigger(world: DesiredWorld, release: ReleaseSpec, target: Target) -> Manifest:
    if not target.scale_on:
        value = {"value": str(target.target_cpu_percent)}
        return {"type": "cpu", "metricType": "Utilization", "metadata": value}
    server, query, value_each = prometheus(world, release, target)
    # A Prometheus that has no such series is an error, and changes nothing, instead of a load of 0.
    asked = {"serverAddress": server, "query": query, "threshold": value_each, "ignoreNullValues": "false"}
    return {"type": "prometheus", "metricType": "AverageValue", "metadata": asked}


def _followed(target: Target) -> Manifest:
    """What the autoscaler follows: a metric of the pods through the custom metrics API, else their CPU."""
    if target.scale_on:
        average = {"type": "AverageValue", "averageValue": target.scale_on["value"]}
        return {"type": "Pods", "pods": {"metric": {"name": target.scale_on["metric"]}, "target": average}}
    utilization = {"type": "Utilization", "averageUtilization": target.target_cpu_percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
