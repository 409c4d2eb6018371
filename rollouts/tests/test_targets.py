"""Environments on different clusters and routers: what the file may say, and whose world a tick touches."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.test import APIClient

from registry.adapters.memory import MemoryStore
from registry.errors import Conflict, Invalid
from registry.models import AuditEntry
from rollouts import services, targets, tasks, wiring
from rollouts.adapters.kubernetes import GatewayApiRouter, KubernetesCluster
from rollouts.adapters.local import LocalCluster
from rollouts.adapters.memory import MemoryCluster
from rollouts.checks import check_ports
from rollouts.models import Endpoint, Environment
from rollouts.tests.web_cast import sign_in

MEMORY = "{cluster: rollouts.adapters.memory.MemoryCluster, router: rollouts.adapters.memory.MemoryRouter}"
FILE = f"""
east: {MEMORY}
west: {MEMORY}
eu:
  cluster: kubernetes
  router: gateway-api
  url: https://models.example.org
  options: {{context: eu-1, namespace: models, image: slipway-serving, gateway: {{name: public}}, runtime: triton, runtime_image: t}}
"""


class Anywhere(MemoryStore):
    """Every digest can be fetched."""

    def path_or_uri(self, digest: str) -> str:
        return f"memory:{digest}"


@pytest.fixture
def file(settings, tmp_path):
    """Writes the file of targets; what was loaded of another one is forgotten."""
    paths = iter(range(100))

    def write(text: str) -> Path:
        path = tmp_path / f"targets-{next(paths)}.yaml"
        path.write_text(text)
        settings.SLIPWAY_TARGETS_FILE = str(path)
        wiring._world.cache_clear()
        return path

    yield write
    wiring._world.cache_clear()


@pytest.fixture
def anywhere(monkeypatch):
    monkeypatch.setattr(wiring, "artifact_store", Anywhere)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[east]", "mapping of names"),
        ("east: embedded", "east: 'embedded' is not a mapping"),
        ("East: {cluster: embedded, router: gateway}", "'East' is no name"),
        ("east: {cluster: embedded}", "east.router: write one of gateway, gateway-api, istio"),
        ("east: {cluster: docker, router: gateway}", "east.cluster: write one of embedded, kubernetes"),
        ("east: {cluster: embedded, router: gateway, colour: red}", "east.colour: there is no such field"),
        ("east: {cluster: embedded, router: gateway, options: 3}", "east.options: 3 is not a mapping"),
        ("east: {cluster: [", "SLIPWAY_TARGETS_FILE"),
    ],
)
def test_a_wrong_file_is_refused_with_the_path_of_the_field(file, text, says):
    file(text)
    with pytest.raises(ImproperlyConfigured) as refused:
        targets.targets()
    assert says in str(refused.value)
    assert [message.id for message in check_ports()] == ["rollouts.E005"]


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("a: {cluster: nowhere.Cluster, router: gateway}", "rollouts.E001"),
        ("a: {cluster: embedded, router: rollouts.adapters.local.LocalCluster}", "rollouts.E002"),
        ("a: {cluster: kubernetes, router: istio, options: {nodes: 3}}", "rollouts.E005"),
        ("a: {cluster: embedded, router: gateway, options: {colour: red}}", "rollouts.E005"),
    ],
)
def test_an_adapter_that_cannot_be_made_is_named_before_anything_starts(file, text, identity):
    file(text)
    assert {message.id for message in check_ports()} == {identity}
    assert all("a.cluster" in m.msg or "a.router" in m.msg for m in check_ports())


def test_the_options_of_a_target_reach_its_adapters(file):
    file(FILE)
    assert check_ports() == []
    cluster, router = wiring.cluster("eu"), wiring.router("eu")
    assert isinstance(cluster, KubernetesCluster)
    assert isinstance(router, GatewayApiRouter)
    (place,) = cluster._targets.places
    assert (place.context, place.namespace, place.gateway) == ("eu-1", "models", {"name": "public"})
    assert targets.find("eu").place == "context eu-1, namespace models"
    assert isinstance(wiring.cluster(), LocalCluster)


def test_a_target_s_options_stand_over_the_defaults_of_the_kubernetes_file(file, settings, tmp_path):
    defaults = tmp_path / "kubernetes.yaml"
    defaults.write_text("default: {image: slipway-serving@sha256:1, namespace: shared, cpu: '2'}")
    settings.SLIPWAY_KUBERNETES_FILE = str(defaults)
    file("eu: {cluster: kubernetes, router: istio, options: {namespace: models}}")
    (place,) = wiring.cluster("eu")._targets.places
    assert (place.image, place.namespace, place.cpu) == ("slipway-serving@sha256:1", "models", "2")


@pytest.fixture
def both(file, versions, author):
    """`churn-east` and `churn-west`, each in an environment on a target of its own."""
    file(FILE)
    for side in ("east", "west"):
        environment = services.create_environment(name=side, target=side, actor=author)
        services.create_endpoint(
            name=f"churn-{side}", environment=environment, version=versions[0], actor=author
        )
    return Endpoint.objects.order_by("name")


def test_a_tick_touches_the_world_of_its_environment_and_no_other(both, anywhere):
    for _ in range(3):
        tasks.tick_all([endpoint.pk for endpoint in both])
    for side, other in (("east", "west"), ("west", "east")):
        cluster, router = wiring.cluster(side), wiring.router(side)
        assert isinstance(cluster, MemoryCluster)
        assert cluster.observe(f"churn-{side}")["1"].ready == 1
        assert cluster.observe(f"churn-{other}") == {}
        assert router.observed_route(f"churn-{side}").weights == {"1": 100}
        assert router.observed_route(f"churn-{other}").weights is None


def test_an_endpoint_says_where_applications_reach_it(file, client, versions, author, db):
    file(FILE)
    environment = services.create_environment(name="production", target="eu", actor=author)
    services.create_endpoint(name="churn", environment=environment, version=versions[0], actor=author)
    viewer = partial(sign_in, client)("viewer")
    url = "https://models.example.org/churn/predict"
    assert viewer.get("/api/v1/endpoints/churn").json()["url"] == url
    assert url in viewer.get("/endpoints/churn/").content.decode()


def test_an_environment_whose_target_is_gone_waits_and_says_why(both, anywhere, file):
    file(f"west: {MEMORY}")
    for _ in range(3):
        tasks.tick_all([endpoint.pk for endpoint in both])
    east, west = both.all()
    assert "The target east cannot be used: SLIPWAY_TARGETS_FILE does not name it" in east.observed["problem"]
    assert west.observed["weights"] == {"1": 100}


def test_the_target_changes_only_while_nothing_lives_there(file, versions, author):
    file(FILE)
    staging = services.create_environment(name="staging", actor=author)
    assert staging.target == "default"
    services.set_target(environment=staging, target="east", actor=author, reason="own cluster")
    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.before, entry.after) == (
        "environment.target", {"target": "default"}, {"target": "east"},
    )  # fmt: skip
    with pytest.raises(Invalid, match="no target 'moon'"):
        services.set_target(environment=staging, target="moon", actor=author, reason="far away")
    services.create_endpoint(name="churn", environment=staging, version=versions[0], actor=author)
    with pytest.raises(Conflict, match="their servers live on east"):
        services.set_target(environment=staging, target="west", actor=author, reason="cheaper")
    assert Environment.objects.get().target == "east"


def test_the_api_says_where_an_environment_is_and_changes_it(file, people):
    file(FILE)
    client = APIClient()
    client.force_authenticate(people["admin"])
    body = {"name": "production", "target": "eu"}
    made = client.post("/api/v1/environments", body, format="json")
    assert made.status_code == 201
    shown = client.get("/api/v1/environments").json()["items"][0]
    assert {key: shown[key] for key in ("target", "cluster", "router", "url")} == {
        "target": "eu", "cluster": "kubernetes", "router": "gateway-api", "url": "https://models.example.org",
    }  # fmt: skip
    assert (shown["files"], shown["folders"]) == (["onnx", "torchscript"], ["onnx", "savedmodel"])
    wrong = client.post("/api/v1/environments", {"name": "b", "target": "moon"}, format="json")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "target")
    moved = client.put(
        "/api/v1/environments/production/target", {"target": "west", "reason": "x"}, format="json"
    )
    assert moved.json()["target"] == "west"
    assert [item["name"] for item in client.get("/api/v1/targets").json()["items"]] == [
        "default", "east", "west", "eu",
    ]  # fmt: skip


def test_the_page_makes_an_environment_on_a_target_and_shows_it(file, client, db):
    file(FILE)
    admin = partial(sign_in, client)("admin")
    assert "eu: kubernetes with gateway-api (context eu-1, namespace models)" in page(admin, "-/new")
    made = admin.post("/environments/-/new", {"name": "production", "target": "eu", "alias": ""})
    assert made.status_code == 302
    text = page(admin, "")
    assert "kubernetes with gateway-api (context eu-1, namespace models)" in text
    assert "https://models.example.org" in text
    assert "savedmodel as a folder" in text and "by triton without a GPU" in text
    moved = admin.post("/environments/production/target", {"target": "west", "reason": "cheaper"})
    assert moved.status_code == 302
    assert Environment.objects.get().target == "west"
    again = admin.post("/environments/-/new", {"name": "production", "target": "eu", "alias": ""})
    assert again.status_code == 422
    assert "There is an environment" in again.content.decode()


def page(client, path: str) -> str:
    return client.get(f"/environments/{path}").content.decode()
