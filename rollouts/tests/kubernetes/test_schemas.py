"""Every manifest against the schemas that Kubernetes, Gateway API, Istio, KServe and Prometheus' operator publish.

KEDA's is not among those at hand, so a ScaledObject is compared with the few fields that KEDA documents.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rollouts.adapters.kubernetes import manifests
from rollouts.adapters.kubernetes.companions import companions
from rollouts.adapters.kubernetes.gateway_api import GatewayApiDialect
from rollouts.adapters.kubernetes.istio import IstioDialect, destination_rule, service
from rollouts.adapters.kubernetes.manifests import APPLIED, GENERATION
from rollouts.adapters.kubernetes.routes import spec_of
from rollouts.adapters.kubernetes.target import parse
from rollouts.adapters.kubernetes.workloads import workload_of
from rollouts.domain.desired import DesiredWorld, ReleaseSpec, Route
from rollouts.tests.kubernetes.stand_in import TARGET

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "kubernetes"
pytestmark = pytest.mark.skipif(
    not PUBLISHED.exists(), reason=f"the published schemas are not at {PUBLISHED}"
)
ONE, TWO = (ReleaseSpec(n, f"sha256:{n * 64}", replicas=2, histograms={"a": [1]}) for n in "12")
FULL = replace(
    TARGET, gpus=1, max_replicas=6, pod_monitor=True, env_from="s3", cache_claim="cache", runtime_class="nvidia",
    node_selector={"pool": "gpu"}, tolerations=({"key": "nvidia.com/gpu", "operator": "Exists"},),
    affinity={"nodeAffinity": {}}, host="models.example.org", scale_on={"metric": "model_queue_depth", "value": "5"},
)  # fmt: skip


def world(**route: Any) -> DesiredWorld:
    split = (("2", 5), ("1", 95))
    return DesiredWorld("churn-production", "churn", 3, (ONE, TWO), Route(split=split, **route))


def everything() -> list[dict[str, Any]]:
    owner = {"metadata": {"name": "churn-production-v1", "uid": "u"}}
    found = []
    theirs = {
        "image": "ours",
        "gateway": {"kind": "Service"},
        "runtime": "triton",
        "runtime_image": "theirs",
        "pod_monitor": True,
    }
    keda = replace(
        FULL, pod_monitor=False, service_monitor=True, keda={"server": "http://prometheus"}, context="keda"
    )
    kserve = [replace(one, workload="inferenceservice") for one in (TARGET, keda, replace(FULL, scale_on={}))]
    runtimes = {"theirs": {"serving_runtime": "kserve-tritonserver", "port": 8080, "metrics_port": 8002}}
    named = {
        "image": "ours",
        "workload": "inferenceservice",
        "runtime": "theirs",
        "pod_monitor": True,
        "gateway": {"name": "g"},
    }
    kserve.append(parse({"default": named, "runtimes": runtimes}).default)
    for target in (TARGET, FULL, keda, parse({"default": theirs}).default, *kserve):
        workload = workload_of(target)
        wanted = workload.manifest(world(), ONE, "s3://models/one", target)
        found.append(workload.marked(wanted, {GENERATION: "3", APPLIED: "mark"}, None))
        found += companions(world(), ONE, target, owner)
        for dialect in (GatewayApiDialect(), IstioDialect()):
            for by in ("header", "cookie"):
                wanted = world(mirror=(("2", 20),), preview=(by, "x-arm", "b", "2"))
                spec = spec_of(dialect, wanted, target)
                kind = dialect.kind
                found.append({"apiVersion": kind.api, "kind": kind.kind, "metadata": {}, "spec": spec})
    return [*found, service(world(), TARGET), destination_rule(world(), {})]


@cache
def definitions() -> dict[str, Any]:
    return json.loads(gzip.decompress((PUBLISHED / "openapi-v2.json.gz").read_bytes()))["definitions"]


@cache
def schema_of(api: str, kind: str) -> Any:
    """The published schema, with unknown fields refused as the API server does under strict validation."""
    group, _, version = api.rpartition("/")
    for name, schema in definitions().items():
        for known in schema.get("x-kubernetes-group-version-kind", []):
            if (known["group"], known["version"], known["kind"]) == (group, version, kind):
                return {"$ref": f"#/definitions/{name}", "definitions": _reached(name)}
    for path in (PUBLISHED / "crds").glob("*.yaml"):
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if document and document["spec"]["group"] == group and document["spec"]["names"]["kind"] == kind:
                served = {item["name"]: item for item in document["spec"]["versions"]}
                return _strict(served[version]["schema"]["openAPIV3Schema"])
    if kind == "ScaledObject":
        return KEDA
    raise AssertionError(f"no schema of {api} {kind}")


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
# https://keda.sh/docs/latest/reference/scaledobject-spec/
_TRIGGER = _object(
    "type metadata", type={"enum": ["prometheus", "cpu"]}, metricType={"enum": ["AverageValue", "Utilization"]},
    metadata={"type": "object", "additionalProperties": TEXT},
)  # fmt: skip
_REF = _object("name", apiVersion=TEXT, kind=TEXT, name=TEXT)
_SPEC = _object(
    "scaleTargetRef triggers", scaleTargetRef=_REF, minReplicaCount=NUMBER, maxReplicaCount=NUMBER,
    triggers={"type": "array", "items": _TRIGGER},
)  # fmt: skip
KEDA = _object("spec", apiVersion={"const": "keda.sh/v1alpha1"}, kind=TEXT, metadata={}, spec=_SPEC)


def _reached(name: str) -> dict[str, Any]:
    """The definition and those that it refers to."""
    found: dict[str, Any] = {}
    left = [name]
    while left:
        if (current := left.pop()) not in found:
            found[current] = _strict(definitions()[current])
            left += re.findall(r'"#/definitions/([^"]+)"', json.dumps(found[current]))
    return found


def errors(manifest: dict[str, Any]) -> list[str]:
    """What the API server would refuse. Slow checks of the schemas themselves are left out."""
    validator = jsonschema.Draft7Validator(schema_of(manifest["apiVersion"], manifest["kind"]))
    bare = {key: value for key, value in manifest.items() if key != "metadata"}
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(bare)]


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items() if key not in {"format", "pattern"}}
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    named = "properties" in schema and isinstance(schema["properties"], dict) and "type" in schema
    if (
        named
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("manifest", everything(), ids=lambda item: item["kind"])
def test_a_manifest_is_what_the_api_server_accepts(manifest):
    assert errors(manifest) == []


def test_the_schemas_would_catch_a_slip():
    manifest = manifests.deployment(world(), ONE, "s3://models/one", TARGET)
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    assert len(errors(manifest)) == 1
    assert "imagePolicy" in errors(manifest)[0]
