"""What runs in the cluster for one release: pure functions from values to manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec

PORT = 8080
ENDPOINT, VERSION = "slipway.dev/endpoint", "slipway.dev/version"
GENERATION, APPLIED = "slipway.dev/generation", "slipway.dev/applied"
OWNED = {"app.kubernetes.io/managed-by": "slipway"}
SELECTOR = "app.kubernetes.io/managed-by=slipway"
CACHE, HISTOGRAMS = "/var/cache/slipway", "/etc/slipway"
DRAIN_SECONDS = 20
USER = 10001


def name_of(endpoint: str, version: str) -> str:
    """The name of everything that belongs to one version: at most 63 characters, as services need."""
    return f"{endpoint}-v{version}"


def labels(endpoint: str, version: str) -> dict[str, str]:
    """By which our own objects are found, and nobody else's."""
    return {**OWNED, ENDPOINT: endpoint, VERSION: version}


def deployment(world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
    """The servers of one release. An autoscaler that owns the number of replicas is not fought over it."""
    marks = labels(world.endpoint, release.version)
    spec: Manifest = {
        "selector": {"matchLabels": marks},
        "strategy": {"rollingUpdate": {"maxSurge": 0 if target.gpus else 1, "maxUnavailable": 1}},
        "progressDeadlineSeconds": target.start_seconds,
        "template": {
            "metadata": {"labels": {**marks, "slipway.dev/model": world.model}},
            "spec": _pod(world, release, artifact, target),
        },
    }
    if not target.max_replicas:
        spec["replicas"] = release.replicas
    return _object("apps/v1", "Deployment", world, release, spec=spec)


def _pod(world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
    name = name_of(world.endpoint, release.version)
    spec: Manifest = {
        "initContainers": [_container("fetch", world, release, artifact, target, fetch=True)],
        "containers": [_container("server", world, release, artifact, target)],
        "volumes": [
            _cache(target),
            {"name": "histograms", "configMap": {"name": name}},
            {"name": "tmp", "emptyDir": {}},
        ],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": DRAIN_SECONDS + 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(world.endpoint, release.version)},
            }
        ],
    }
    optional = {
        "nodeSelector": dict(target.node_selector),
        "tolerations": [dict(item) for item in target.tolerations],
        "affinity": dict(target.affinity),
        "runtimeClassName": target.runtime_class,
    }
    return {**spec, **{key: value for key, value in optional.items() if value}}


def _container(
    name: str,
    world: DesiredWorld,
    release: ReleaseSpec,
    artifact: str,
    target: Target,
    *,
    fetch: bool = False,
) -> Manifest:
    flags = {
        "artifact": artifact,
        "digest": release.digest,
        "cache": CACHE,
        "model": world.model,
        "model-version": release.version,
        "endpoint": world.endpoint,
        "host": "0.0.0.0",
        "port": PORT,
        "histograms": f"{HISTOGRAMS}/histograms.json",
        "drain-seconds": DRAIN_SECONDS,
    }
    wanted = ("artifact", "digest", "cache") if fetch else tuple(flags)
    arguments = [part for key in wanted for part in (f"--{key}", str(flags[key]))]
    module = "deploy.serving.fetch" if fetch else "deploy.serving"
    found: Manifest = {
        "name": name,
        "image": target.image,
        "command": ["python", "-m", module],
        "args": arguments,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "cache", "mountPath": CACHE},
            {"name": "histograms", "mountPath": HISTOGRAMS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        "resources": _resources(target, gpus=not fetch),
    }
    if target.env_from:
        found["envFrom"] = [{"secretRef": {"name": target.env_from}}]
    return found if fetch else {**found, **_serving(target)}


def _serving(target: Target) -> Manifest:
    """Ports and probes. A model may take minutes to load; once it has, silence is an illness."""
    return {
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {
            **_probe("/v2/health/ready", 2),
            "failureThreshold": max(1, target.start_seconds // 2),
        },
        "readinessProbe": {**_probe("/v2/health/ready", 5), "failureThreshold": 2},
        "livenessProbe": {**_probe("/v2/health/live", 10), "failureThreshold": 3},
        # Routes forget the pod before it stops listening.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }


def _probe(path: str, period: int) -> Manifest:
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": period, "timeoutSeconds": 2}


def _resources(target: Target, *, gpus: bool) -> Manifest:
    """Requests are limits for memory and GPUs; a GPU is never shared by declaration."""
    requests: dict[str, str] = {"cpu": target.cpu, "memory": target.memory}
    limits: dict[str, str] = {"memory": target.memory}
    if target.gpus and gpus:
        requests["nvidia.com/gpu"] = limits["nvidia.com/gpu"] = str(target.gpus)
    return {"requests": requests, "limits": limits}


def _cache(target: Target) -> Manifest:
    if target.cache_claim:
        return {"name": "cache", "persistentVolumeClaim": {"claimName": target.cache_claim}}
    return {"name": "cache", "emptyDir": {}}


def companions(
    world: DesiredWorld, release: ReleaseSpec, target: Target, owner: Mapping[str, Any]
) -> list[Manifest]:
    """What stands beside the servers and goes with them: `owner` is their Deployment."""
    marks = labels(world.endpoint, release.version)
    histograms = json.dumps(release.histograms, sort_keys=True)
    found = [
        _object(
            "v1", "ConfigMap", world, release, data={"histograms.json": histograms}
        ),
        _object(
            "v1", "Service", world, release,
            spec={"selector": marks, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        ),
        _object(
            "policy/v1", "PodDisruptionBudget", world, release,
            spec={"selector": {"matchLabels": marks}, "maxUnavailable": 1},
        ),
    ]  # fmt: skip
    if target.max_replicas:
        found.append(_autoscaler(world, release, target))
    if target.pod_monitor:
        spec = {
            "selector": {"matchLabels": marks},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}],
        }
        found.append(_object("monitoring.coreos.com/v1", "PodMonitor", world, release, spec=spec))
    reference = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    for manifest in found:
        manifest["metadata"]["ownerReferences"] = [reference]
    return found


def _autoscaler(world: DesiredWorld, release: ReleaseSpec, target: Target) -> Manifest:
    name = name_of(world.endpoint, release.version)
    utilization = {"type": "Utilization", "averageUtilization": target.target_cpu_percent}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": release.replicas,
        "maxReplicas": max(release.replicas, target.max_replicas),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", world, release, spec=spec)


def _object(api: str, kind: str, world: DesiredWorld, release: ReleaseSpec, **content: Any) -> Manifest:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {
            "name": name_of(world.endpoint, release.version),
            "labels": labels(world.endpoint, release.version),
        },
        **content,
    }


def fingerprint(*manifests: Mapping[str, Any]) -> str:
    """Tells whether what is to be applied is what was applied."""
    return hashlib.sha256(json.dumps(manifests, sort_keys=True).encode()).hexdigest()[:32]
