"""What runs in the cluster for one release: pure functions from values to manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.containers import DRAIN_SECONDS, container, layout, other
from rollouts.adapters.kubernetes.runtimes import MODELS
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec

ENDPOINT, VERSION = "slipway.dev/endpoint", "slipway.dev/version"
GENERATION, APPLIED = "slipway.dev/generation", "slipway.dev/applied"
# The kinds of what stands beside it only because the environment asked for it then.
BESIDE = "slipway.dev/beside"
OWNED = {"app.kubernetes.io/managed-by": "slipway"}
SELECTOR = "app.kubernetes.io/managed-by=slipway"
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
        "strategy": strategy(target),
        "progressDeadlineSeconds": target.start_seconds,
        "template": {
            "metadata": {"labels": {**marks, "slipway.dev/model": world.model}},
            "spec": pod(world, release, artifact, target),
        },
    }
    if not target.max_replicas:
        spec["replicas"] = release.replicas
    return object_of("apps/v1", "Deployment", world, release, spec=spec)


def strategy(target: Target) -> Manifest:
    """With GPUs nothing is surged: a node may have no second GPU to spare."""
    return {"rollingUpdate": {"maxSurge": 0 if target.gpus else 1, "maxUnavailable": 1}}


def pod(world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
    """The pods of one release: an init step that fetches and verifies, and the server."""
    name = name_of(world.endpoint, release.version)
    fetch = container("fetch", world, release, artifact, target, fetch=True)
    server = container("server", world, release, artifact, target)
    volumes = [
        _cache(target),
        {"name": "histograms", "configMap": {"name": name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if target.serving:
        fetch["args"] += layout(target.serving, world, release)
        fetch["volumeMounts"].append({"name": "models", "mountPath": MODELS})
        server = other(server, target.serving, world, release, target)
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
