"""One InferenceService of KServe per version, without Knative: pure functions from values to manifests.

https://kserve.github.io/website/docs/concepts/architecture/control-plane: in the mode `RawDeployment` KServe
makes a plain Deployment of it, whose pods our own Service finds, so that our router divides the traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollouts.adapters.kubernetes import pods
from rollouts.adapters.kubernetes.api import INFERENCE_SERVICE, Manifest
from rollouts.adapters.kubernetes.manifests import (
    APPLIED,
    BESIDE,
    GENERATION,
    labels,
    object_of,
    pod,
    strategy,
)
from rollouts.adapters.kubernetes.scaling import prometheus
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec
from rollouts.domain.snapshot import WorkloadStatus

SERVER, MOUNT = "kserve-container", "/mnt/models"
# What the ServingRuntimes that come with KServe call our formats.
FORMATS = {"onnx": "onnx", "torchscript": "pytorch", "savedmodel": "tensorflow", "tensorrt": "tensorrt"}


def inference_service(world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
    """The servers of one release: our container or another, or one of a ServingRuntime of the cluster."""
    spec = pod(world, release, artifact, target)
    (server,) = spec.pop("containers")
    named = target.serving.serving_runtime if target.serving else ""
    if named:
        spec["model"] = {**_in_runtime(server, target), "runtime": named, **_format(release)}
    else:
        spec["containers"] = [{**server, "name": SERVER}]
    spec |= {
        "labels": {**labels(world.endpoint, release.version), "slipway.dev/model": world.model},
        "deploymentStrategy": strategy(target),
        "minReplicas": release.replicas,
        "maxReplicas": max(release.replicas, target.max_replicas),
        **(_scaled(world, release, target) if target.max_replicas else {}),
    }
    found = object_of(INFERENCE_SERVICE.api, INFERENCE_SERVICE.kind, world, release, spec={"predictor": spec})
    found["metadata"]["annotations"] = {
        "serving.kserve.io/deploymentMode": "RawDeployment",
        "serving.kserve.io/autoscalerClass": _scaler(target),
    }
    # Nobody comes in past our router.
    found["metadata"]["labels"]["networking.kserve.io/visibility"] = "cluster-local"
    return found


def marked(wanted: Manifest, marks: Mapping[str, str]) -> Manifest:
    """With our annotations, of which pods get only the fingerprint.

    KServe copies annotations to the pods' template, so that every decision would start new pods; what stands
    in the predictor wins over what stands above.
    """
    wanted["metadata"]["annotations"] |= marks
    constant = dict.fromkeys((GENERATION, BESIDE), "of the InferenceService")
    wanted["spec"]["predictor"]["annotations"] = {APPLIED: marks[APPLIED], **constant}
    return wanted


def status_of(
    item: Mapping[str, Any], child: Mapping[str, Any] | None, its_pods: Iterable[Mapping[str, Any]]
) -> WorkloadStatus:
    """What its Deployment and pods say, once KServe has made the newest of them.

    KServe's own `observedGeneration` is copied from the Deployment (https://github.com/kserve/kserve/issues/6081),
    so it does not tell; that the Deployment carries the fingerprint does.
    """
    wanted = item["spec"]["predictor"].get("minReplicas", 1)
    told = _told(item)
    template = child["spec"].get("template", {}).get("metadata", {}) if child else {}
    mark = item["metadata"].get("annotations", {}).get(APPLIED)
    if child is None or not mark or template.get("annotations", {}).get(APPLIED) != mark:
        message = told or "KServe has not taken over the InferenceService yet: does its controller run?"
        return WorkloadStatus(desired=wanted, message=message)
    found = pods.status_of(child, its_pods)
    if found.message or found.ready >= found.desired or not told:
        return found
    return replace(found, message=told)


def _told(item: Mapping[str, Any]) -> str:
    """Why KServe does not call the predictor ready."""
    status = item.get("status", {})
    failed = status.get("modelStatus", {}).get("lastFailureInfo", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PredictorReady" and condition["status"] != "True":
            said = " ".join(str(condition.get(name, "")) for name in ("reason", "message")).strip()
            return f"KServe: {failed.get('message') or said or 'the predictor is not ready'}"
    return f"KServe: {failed['message']}" if failed.get("message") else ""


def _in_runtime(server: Manifest, target: Target) -> Manifest:
    """What a ServingRuntime's container gets from us: the model, the resources and how it is asked."""
    assert target.serving is not None
    kept = ("args", "env", "envFrom", "resources", "securityContext", "startupProbe", "readinessProbe",
            "livenessProbe", "lifecycle", "terminationMessagePolicy")  # fmt: skip
    found = {name: server[name] for name in kept if name in server}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        found[name] = {**server[name], "httpGet": {**server[name]["httpGet"], "port": target.serving.port}}
    mounts = [{"name": "models", "mountPath": MOUNT, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}]
    return {**found, "volumeMounts": mounts}


def _format(release: ReleaseSpec) -> Manifest:
    return {"modelFormat": {"name": FORMATS.get(release.format, release.format)}}


def _scaler(target: Target) -> str:
    """Without an autoscaler KServe keeps `minReplicas`; its own would need a metrics server."""
    if not target.max_replicas:
        return "external"
    return "keda" if target.keda else "hpa"


def _scaled(world: DesiredWorld, release: ReleaseSpec, target: Target) -> Manifest:
    """What KServe's own autoscaler follows."""
    if not target.scale_on:
        return {"scaleMetric": "cpu", "scaleTarget": target.target_cpu_percent}
    server, query, value = prometheus(world, release, target)
    metric = {"backend": "prometheus", "serverAddress": server, "query": query}
    followed = {"metric": metric, "target": {"type": "AverageValue", "averageValue": value}}
    return {"autoScaling": {"metrics": [{"type": "External", "external": followed}]}}
