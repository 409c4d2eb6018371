"""The Helm chart, rendered by Helm itself, against the types that Kubernetes publishes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest
import yaml

from tests.peers import environment_or_skip
from tests.production.helm_api import ApiServer
from tests.servers.waiting import ROOT

CHART = ROOT / "deploy" / "helm" / "slipway"
EXAMPLES = {path.stem: path for path in sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))}
RUN = Path(__file__).with_name("helm_run.py")
CLIENT = kubernetes.client
PODS = ("Deployment", "StatefulSet", "Job", "CronJob")


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Runs Helm in an environment of its own, against an API server that keeps what it is sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_IGNORE_REQUIRES_PYTHON", "1")
        python = environment_or_skip("helm", Path(__file__).with_name("helm-requirements.txt"))
    folder = tmp_path_factory.mktemp("helm")

    def run(verb: str, values: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        chart = folder / "slipway"
        shutil.rmtree(chart, ignore_errors=True)
        shutil.copytree(CHART, chart)
        if verb == "lint":
            # The library lints a chart with its own values only.
            (chart / "values.yaml").write_text(yaml.safe_dump(_merged(_load(CHART / "values.yaml"), values)))
        (folder / "values.json").write_text(json.dumps(values))
        with ApiServer() as server:
            command = [python, RUN, verb, chart, folder / "values.json", server.kubeconfig(folder)]
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, timeout=120
            )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), server.created

    yield run


@pytest.fixture(scope="module")
def rendered(helm: Any) -> dict[str, list[dict[str, Any]]]:
    """What is created, for the values of each example."""
    found = {}
    for name, path in EXAMPLES.items():
        answer, created = helm("install", _load(path))
        assert "error" not in answer, f"{name}: {answer}"
        found[name] = created
    return found


def _load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], over[key]) for key in base.keys() & over.keys() if isinstance(base[key], dict)
    }
    return {**base, **over, **both}


@pytest.mark.parametrize("name", EXAMPLES)
def test_helm_lint_finds_nothing(helm: Any, name: str) -> None:
    answer, _ = helm("lint", _load(EXAMPLES[name]))
    said = json.dumps(answer)
    assert "error" not in answer and "[ERROR]" not in said and "[WARNING]" not in said, said


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_object_is_of_a_published_type_without_unknown_fields(rendered: Any, name: str) -> None:
    kinds = {document["kind"] for document in rendered[name]}
    assert {"Deployment", "Service", "Job", "CronJob", "Role", "RoleBinding", "NetworkPolicy"} <= kinds
    for document in rendered[name]:
        if not document["apiVersion"].startswith("monitoring.coreos.com/"):
            check(document, type_of(document), document["kind"])


@cache
def _types() -> dict[tuple[str, str], str]:
    """The client's class of each apiVersion and kind."""
    found = {}
    for name in dir(CLIENT):
        match = re.fullmatch(r"(V\d+)([A-Z]\w+)", name)
        if match:
            found[match[1].lower(), match[2]] = name
    return found


def type_of(document: dict[str, Any]) -> str:
    version = document["apiVersion"].rpartition("/")[2]
    return _types()[version, document["kind"]]


def check(value: Any, expected: str, path: str) -> None:
    """The value has the published type: no field it does not know, none that must be there is missing."""
    if value is None:
        return
    if inner := re.fullmatch(r"list\[(.*)\]", expected):
        assert isinstance(value, list), f"{path}: {value!r} is no list"
        for index, item in enumerate(value):
            check(item, inner[1], f"{path}[{index}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", expected):
        assert isinstance(value, dict), f"{path}: {value!r} is no map"
        for key, item in value.items():
            check(item, inner[1], f"{path}.{key}")
    elif kind := getattr(CLIENT, expected, None):
        assert isinstance(value, dict), f"{path}: {value!r} is no {expected}"
        known = {theirs: ours for ours, theirs in kind.attribute_map.items()}
        assert not value.keys() - known.keys(), f"{path}: {expected} has no {value.keys() - known.keys()}"
        for key, item in value.items():
            check(item, kind.openapi_types[known[key]], f"{path}.{key}")
        # Raises ValueError for what is missing.
        kind(**{known[key]: item for key, item in value.items()})
    else:
        wanted = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(expected, object)
        assert isinstance(value, wanted), f"{path}: {value!r} is no {expected}"
        assert expected == "bool" or not isinstance(value, bool) or wanted is object, f"{path}: {value!r}"


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and pod spec of everything that runs."""
    for document in documents:
        if document["kind"] in PODS:
            spec = document["spec"]
            spec = spec["jobTemplate"]["spec"] if document["kind"] == "CronJob" else spec
            yield document["metadata"]["name"], spec["template"]["spec"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_locked_down_and_bounded(rendered: Any, name: str) -> None:
    for pod, spec in pods(rendered[name]):
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"], pod
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        token = spec["automountServiceAccountToken"]
        assert token is pod.endswith(("-worker", "-tick")), (
            f"{pod}: only who speaks to Kubernetes gets a token"
        )
        for container in spec["containers"]:
            own = container["securityContext"]
            assert not own["allowPrivilegeEscalation"] and own["capabilities"] == {"drop": ["ALL"]}, pod
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"], (
                pod
            )
            assert not container["image"].endswith(":latest"), pod
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            given = {volume["name"] for volume in spec.get("volumes", [])} | {"data"}
            assert mounted <= given, pod


@pytest.mark.parametrize("name", EXAMPLES)
def test_selectors_find_their_pods_and_references_their_objects(rendered: Any, name: str) -> None:
    documents = rendered[name]
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet"}
    ]
    for document in documents:
        if document["kind"] in {"Service", "PodDisruptionBudget"}:
            selector = document["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            assert sum(wanted <= found.items() for found in labels) == 1, document["metadata"]["name"]
    there = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for pod, spec in pods(documents):
        if "serviceAccountName" in spec:
            assert ("ServiceAccount", spec["serviceAccountName"]) in there, pod
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there, pod
            if "secret" in volume and name != "production":
                assert ("Secret", volume["secret"]["secretName"]) in there, pod


def test_the_workers_may_do_what_the_adapters_call_and_no_more(rendered: Any) -> None:
    published = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "role.yaml").read_text())["rules"]
    roles = [document for document in rendered["production"] if document["kind"] == "Role"]
    models = {role["metadata"]["namespace"]: role["rules"] for role in roles if role["rules"] == published}
    assert models.keys() == {"models-staging", "models-production"}
    (own,) = [role for role in roles if role["rules"] != published]
    assert own["rules"] == [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}]
    wide = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "preflight.yaml").read_text())["rules"]
    roles = [document for document in rendered["production"] if document["kind"] == "ClusterRole"]
    assert [role["rules"] for role in roles] == [wide]
    # Without `preflight` nothing is seen of the cluster but what is in the namespaces.
    assert not [document for document in rendered["try"] if document["kind"].startswith("ClusterRole")]


def test_without_the_internet_every_image_comes_from_the_one_registry(rendered: Any) -> None:
    images = {
        container["image"] for _, spec in pods(rendered["air-gapped"]) for container in spec["containers"]
    }
    assert images and all(image.startswith("registry.internal:5000/") for image in images)
    assert "0.0.0.0/0" not in json.dumps(rendered["air-gapped"])


def test_in_production_secrets_are_somebody_elses_and_the_image_is_pinned(rendered: Any) -> None:
    assert not [document for document in rendered["production"] if document["kind"] == "Secret"]
    for _, spec in pods(rendered["production"]):
        assert all("@sha256:" in container["image"] for container in spec["containers"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_settings_of_the_chart_are_settings_of_slipway(rendered: Any, name: str) -> None:
    from controlplane import env

    own = next(doc for doc in rendered[name] if doc["metadata"]["name"] == "demo-settings")["data"]
    ours = {key for key in own if key.startswith("SLIPWAY_")}
    assert not {key for key in ours if not {key, key.removesuffix("_FILE")} & env.names}


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"publicUrl": "http://slipway.example.org"}, "publicUrl"),
        ({"web": {"replicas": 0}}, "replicas"),
        ({"wbe": {}}, "wbe"),
        ({"secrets": {"secretKey": "short"}}, "secretKey"),
        ({"settings": {"DJANGO_DEBUG": "1"}}, "DJANGO_DEBUG"),
    ],
    ids=["http", "no replicas", "unknown value", "short key", "not a setting"],
)
def test_wrong_values_are_refused_by_name(helm: Any, wrong: dict[str, Any], said: str) -> None:
    answer, created = helm("install", _merged(_load(EXAMPLES["try"]), wrong))
    assert said in answer["error"] and not created


def test_without_a_secret_it_says_which_are_needed(helm: Any) -> None:
    answer, _ = helm("install", {})
    assert "Set existingSecret, or secrets.secretKey" in answer["error"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_scoring_job_is_of_a_published_type_in_pods_like_those_of_the_chart(
    rendered: Any, name: str
) -> None:
    files = next(doc for doc in rendered[name] if doc["metadata"]["name"] == "demo-kubernetes")["data"]
    job = yaml.safe_load(files["scoring-job.yaml"])
    check(job, type_of(job), "Job")
    spec, theirs = job["spec"]["template"]["spec"], dict(pods(rendered[name]))["demo-migrate-1"]
    for field in ("volumeMounts", "image", "envFrom", "securityContext"):
        assert spec["containers"][0][field] == theirs["containers"][0][field]
    assert spec["volumes"] == theirs["volumes"] and spec["serviceAccountName"] == "demo-web"
    settings = next(doc for doc in rendered[name] if doc["metadata"]["name"] == "demo-settings")["data"]
    assert settings["SLIPWAY_SCORING_JOB_FILE"] == "/etc/slipway/scoring-job.yaml"
    mount = next(item for item in theirs["containers"][0]["volumeMounts"] if item["name"] == "kubernetes")
    assert mount["mountPath"] == "/etc/slipway"


def test_a_scheduled_scoring_makes_a_job_that_the_pages_show(rendered: Any) -> None:
    (spec,) = [spec for name, spec in pods(rendered["production"]) if name == "demo-scoring-nightly"]
    wanted = ["score", "churn", "champion", "s3://tables/customers", "s3://tables/scores/{date}", "--queue"]
    assert spec["containers"][0]["args"] == wanted
