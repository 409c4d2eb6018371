"""The containers of a pod: our server, or another, and the init step that fetches for it."""

from __future__ import annotations

from rollouts.adapters.kubernetes import triton
from rollouts.adapters.kubernetes.api import Manifest
from rollouts.adapters.kubernetes.runtimes import MODELS, NAMES, Runtime
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec

PORT = 8080
CACHE, HISTOGRAMS = "/var/cache/slipway", "/etc/slipway"
DRAIN_SECONDS = 20


def container(
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
        "artifact": NAMES.get(release.format, "model"),
    }


def layout(runtime: Runtime, world: DesiredWorld, release: ReleaseSpec) -> list[str]:
    """Where the init step puts the artifact, and the files beside it."""
    values = _values(world, release)
    flags = ["--place", runtime.filled("{file}", values)]
    if release.folder:
        flags.append("--folder")
        # Servers look for this name, whatever the file was called; its external data lies beside it.
        flags += ["--main", NAMES["onnx"]] if release.format == "onnx" else []
    for name, place in _places(runtime).items():
        flags += ["--copy", f"{HISTOGRAMS}/{name}", f"{MODELS}/{place.format(**values)}"]
    return flags


def _places(runtime: Runtime) -> dict[str, str]:
    """Where under /models a server needs further files, by their names in the ConfigMap."""
    found = {"config.pbtxt": runtime.config} if runtime.config else {}
    return {**found, **{f"beside-{number}": place for number, place in enumerate(runtime.beside)}}


def texts_of(runtime: Runtime, world: DesiredWorld, release: ReleaseSpec, gpus: int) -> dict[str, str]:
    """Those files by the same names."""
    values, found = _values(world, release), {}
    if runtime.config:
        found["config.pbtxt"] = triton.config(world.model, release.signature, gpus=gpus, code=release.format)
    return {
        **found,
        **{f"beside-{n}": runtime.filled(text, values) for n, text in enumerate(runtime.beside.values())},
    }


def other(
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
        "env": [{"name": n, "value": runtime.filled(text, values)} for n, text in runtime.env.items()],
        "volumeMounts": [
            {"name": "models", "mountPath": MODELS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        **_serving(target, runtime.filled(runtime.ready, values), runtime.filled(runtime.live, values)),
        "ports": ports,
    }
    return {name: value for name, value in found.items() if value or name not in ("command", "args", "env")}


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
