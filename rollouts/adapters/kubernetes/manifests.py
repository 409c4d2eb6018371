"""What runs in the cluster for one release: pure functions from values to manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.runtimes import MODELS, Runtime
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
    return object_of("apps/v1", "Deployment", world, release, spec=spec)


def _pod(world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
    name = name_of(world.endpoint, release.version)
    fetch = _container("fetch", world, release, artifact, target, fetch=True)
    server = _container("server", world, release, artifact, target)
    volumes = [
        _cache(target),
        {"name": "histograms", "configMap": {"name": name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if target.serving:
        fetch["args"] += _layout(target.serving, world, release)
        fetch["volumeMounts"].append({"name": "models", "mountPath": MODELS})
        server = _other(server, target.serving, world, release, target)
        volumes.append({"name": "models", "emptyDir": {}})
    spec: Manifest = {
        "initContainers": [fetch],
        "containers": [server],
        "volumes": volumes,
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
        # What it said last is why it ended; without this nobody is told.
        "terminationMessagePolicy": "FallbackToLogsOnError",
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


def _values(world: DesiredWorld, release: ReleaseSpec) -> dict[str, str]:
    """What a runtime's template may name."""
    return {
        "model": world.model,
        "version": release.version,
        "endpoint": world.endpoint,
        "digest": release.digest,
    }


def _layout(runtime: Runtime, world: DesiredWorld, release: ReleaseSpec) -> list[str]:
    """Where the init step puts the artifact, and the configuration beside it."""
    values = _values(world, release)
    place = ["--place", runtime.filled("{file}", values)]
    if not runtime.config:
        return place
    config = f"{MODELS}/{runtime.config.format(**values)}"
    return [*place, "--copy", f"{HISTOGRAMS}/config.pbtxt", config]


def _other(
    ours: Manifest, runtime: Runtime, world: DesiredWorld, release: ReleaseSpec, target: Target
) -> Manifest:
    """Another model server in the place of ours, kept as tightly."""
    values = _values(world, release)
    ports = [{"name": "http", "containerPort": runtime.port}]
    if runtime.metrics_port and runtime.metrics_port != runtime.port:
        ports.append({"name": "metrics", "containerPort": runtime.metrics_port})
    found = {
        **ours,
        "image": runtime.image,
        "command": [runtime.filled(part, values) for part in runtime.command],
        "args": [runtime.filled(part, values) for part in runtime.args],
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        **_serving(target, runtime.ready, runtime.live),
        "ports": ports,
    }
    return {name: value for name, value in found.items() if value or name not in ("command", "args")}


def _serving(target: Target, ready: str = "/v2/health/ready", live: str = "/v2/health/live") -> Manifest:
    """Ports and probes. A model may take minutes to load; once it has, silence is an illness."""
    return {
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {**_probe(ready, 2), "failureThreshold": max(1, target.start_seconds // 2)},
        "readinessProbe": {**_probe(ready, 5), "failureThreshold": 2},
        "livenessProbe": {**_probe(live, 10), "failureThreshold": 3},
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


def object_of(api: str, kind: str, world: DesiredWorld, release: ReleaseSpec, **content: Any) -> Manifest:
    """An object of one version, named and labelled as such."""
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
