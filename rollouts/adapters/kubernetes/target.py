"""Where and how servers run: SLIPWAY_KUBERNETES_FILE, read and checked whole.

default: {namespace: models, image: "registry/slipway-serving@sha256:…", gateway: {name: public}}
environments:
  production: {context: prod, gpus: 1, max_replicas: 8}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from rollouts import documents
from rollouts.adapters.kubernetes import triton
from rollouts.adapters.kubernetes.runtimes import Runtime, parse_runtimes
from rollouts.documents import mapping
from rollouts.domain.serves import OURS, Serves


@dataclass(frozen=True, slots=True)
class Target:
    """How one environment's servers run.

    context: of the kubeconfig; empty means the cluster we run in, or the kubeconfig's own choice. image:
    of the model server. env_from: a Secret with credentials for fetching artifacts. cache_claim: a
    PersistentVolumeClaim that pods share for fetched artifacts; without it each pod has its own. gpus: per
    server. max_replicas: above the rollout's replicas an autoscaler may go so far; 0 means no autoscaler.
    It keeps target_cpu_percent, or with scale_on a metric of the pods at an average `value` each.
    gateway: `name` and `namespace` of the Gateway, of Gateway API or of Istio. host: what the route
    answers to there; empty means every host, with Istio the endpoint's name alone. preflight: for servers
    with GPUs: `hold` creates none that do not fit, `say` only says so (where nodes are added on demand),
    `off` does not look. runtime: `triton` or one of `runtimes` in the place of our model server;
    runtime_image: its image. serving: what that means.
    workload: `deployment`, or `inferenceservice` where KServe runs the servers. keda: with `server`, the
    address of a Prometheus, KEDA scales instead of Kubernetes' autoscaler. pod_monitor, service_monitor: for
    Prometheus' operator.
    """

    namespace: str = "default"
    image: str = ""
    context: str = ""
    env_from: str = ""
    cache_claim: str = ""
    gpus: int = 0
    cpu: str = "1"
    memory: str = "1Gi"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    runtime_class: str = ""
    max_replicas: int = 0
    target_cpu_percent: int = 70
    scale_on: Mapping[str, str] = field(default_factory=dict)
    start_seconds: int = 600
    gateway: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    pod_monitor: bool = False
    preflight: str = "hold"
    runtime: str = ""
    runtime_image: str = ""
    serving: Runtime | None = None
    workload: str = "deployment"
    keda: Mapping[str, str] = field(default_factory=dict)
    service_monitor: bool = False

    @property
    def request_port(self) -> str | int:
        """Where pods take requests: a ServingRuntime's containers name their ports as they like."""
        return self.serving.port if self.serving and self.serving.serving_runtime else "http"

    @property
    def serves(self) -> Serves:
        """What its servers can run. A TensorRT plan needs the GPU that it was built for."""
        if self.serving is None:
            return OURS
        there = [code for code in self.serving.formats if self.gpus or code != "tensorrt"]
        return Serves(
            by=self.runtime if self.gpus else f"{self.runtime} without a GPU",
            files=tuple(there),
            folders=self.serving.folders,
            signed=triton.UNTOLD if self.serving.config else (),
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of all environments; one that is not named has the default."""

    default: Target
    environments: Mapping[str, Target]

    def of(self, environment: str) -> Target:
        """Where this environment's servers run."""
        return self.environments.get(environment, self.default)

    @property
    def places(self) -> tuple[Target, ...]:
        """One target per cluster, namespace and kind of workload."""
        every = (self.default, *self.environments.values())
        return tuple({(one.context, one.namespace, one.workload): one for one in every}.values())


@cache
def targets() -> Targets:
    """What SLIPWAY_KUBERNETES_FILE says; ImproperlyConfigured names the wrong field."""
    if not settings.SLIPWAY_KUBERNETES_FILE:
        raise ImproperlyConfigured("SLIPWAY_KUBERNETES_FILE must name the file with the image and namespace.")
    return parse(_document())


def _document() -> Mapping[str, Any]:
    path = settings.SLIPWAY_KUBERNETES_FILE
    try:
        return mapping(yaml.safe_load(Path(path).read_text()) or {}, path)
    except (OSError, yaml.YAMLError) as error:
        raise ImproperlyConfigured(f"SLIPWAY_KUBERNETES_FILE {path}: {error}") from error


def configured(options: Mapping[str, Any]) -> Targets:
    """One place for all; what the options leave open stands under `default` in SLIPWAY_KUBERNETES_FILE."""
    document = _document() if settings.SLIPWAY_KUBERNETES_FILE else {}
    default = mapping(document.get("default", {}), "default")
    return parse({"default": {**default, **options}, "runtimes": document.get("runtimes", {})})


def parse(document: Any) -> Targets:
    """Targets from the file's document."""
    if not isinstance(document, Mapping) or set(document) - {"default", "environments", "runtimes"}:
        raise ImproperlyConfigured(
            "The file of targets has `default`, `environments` and `runtimes`, and nothing else."
        )
    runtimes = parse_runtimes(mapping(document.get("runtimes", {}), "runtimes"))
    default = mapping(document.get("default", {}), "default")
    environments = mapping(document.get("environments", {}), "environments")
    return Targets(
        default=_target(default, "default", runtimes),
        environments={
            name: _target(
                {**default, **mapping(own, f"environments.{name}")}, f"environments.{name}", runtimes
            )
            for name, own in environments.items()
        },
    )


def _target(values: Mapping[str, Any], path: str, runtimes: Mapping[str, Runtime]) -> Target:
    target = Target(**documents.values(values, Target(), path, besides=frozenset({"serving"})))
    target = replace(target, serving=_serving(target, path, runtimes))
    if wrong := contradiction(target):
        raise ImproperlyConfigured(f"{path}.{wrong}")
    return target


def contradiction(target: Target) -> str:
    """The first field that cannot be, and why: `field: …`; "" when all can."""
    runtime = target.serving.serving_runtime if target.serving else ""
    kserve = target.workload == "inferenceservice"
    wrong = {
        "preflight": target.preflight not in ("hold", "say", "off") and "write hold, say or off.",
        "image": not target.image and "the image of the model server must be named.",
        "workload": target.workload not in ("deployment", "inferenceservice")
        and "write deployment or inferenceservice.",
        "runtime": runtime and not kserve and f"{target.runtime} needs `workload: inferenceservice`.",
        "keda": target.keda
        and set(target.keda) != {"server"}
        and 'write {server: "http://prometheus:9090"}.',
        "scale_on": _wrong_scale(target.scale_on, bool(target.keda), kserve),
        "service_monitor": target.service_monitor
        and target.pod_monitor
        and "with `pod_monitor` everything would be counted twice; choose one.",
    }
    return next((f"{name}: {says}" for name, says in wrong.items() if says), "")


def _wrong_scale(given: Mapping[str, str], keda: bool, kserve: bool) -> str:
    if not given:
        return ""
    shapes = [{"metric", "value"}, {"query", "value"}] if keda else [{"metric", "value"}]
    if set(given) not in shapes or not all(isinstance(value, str) for value in given.values()):
        return 'write {metric: model_queue_depth, value: "5"}; with `keda` also {query: …, value: …}.'
    if kserve and not keda:
        return "KServe's own autoscaler follows the CPU; a metric needs `keda`."
    try:
        given.get("query", "").format(endpoint="", version="")
    except (ValueError, KeyError, IndexError) as error:
        return f"{{endpoint}} and {{version}} may be named, and {{{{ is a brace: {error!r}."
    return ""


def _serving(target: Target, path: str, runtimes: Mapping[str, Runtime]) -> Runtime | None:
    if not target.runtime:
        return None
    if target.runtime not in runtimes:
        known = ", ".join(sorted(runtimes))
        raise ImproperlyConfigured(f"{path}.runtime: there is no {target.runtime!r}. Known: {known}.")
    runtime = runtimes[target.runtime]
    image = target.runtime_image or runtime.image
    if not image and not runtime.serving_runtime:
        raise ImproperlyConfigured(f"{path}.runtime_image: the image of {target.runtime} must be named.")
    return replace(runtime, image=image)
