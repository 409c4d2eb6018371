"""Roles on one model: its endpoint, its rollouts and its plans, and nobody else's."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from registry import services as registry_services
from registry import tokens
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.models import Model, Version
from rollouts import plan_templates, services
from rollouts.models import Environment

pytestmark = pytest.mark.django_db
CANARY = {"steps": [50]}


@pytest.fixture
def other(endpoint, author):
    """`fraud-production`, of another model, with a rollout."""
    model = Model.objects.create(name="fraud", last_number=2, owner_team="risk")
    first, second = (
        Version.objects.create(model=model, number=n, digest=f"sha256:{n + 90:064x}", size=1, format="onnx")
        for n in (1, 2)
    )
    production = Environment.objects.get(name="production")
    made = services.create_endpoint(
        name="fraud-production", environment=production, version=first, actor=author
    )
    services.start_rollout(
        endpoint=made, version=second, strategy="canary", parameters=CANARY, actor=author, reason="x"
    )
    return made


@pytest.fixture
def member(people, versions):
    """Somebody with a role on `churn` alone."""

    def make(role):
        registry_services.grant_role(
            user=people["outsider"], role=role, model=versions[0].model, actor=SYSTEM
        )
        return User.objects.get(username="outsider")

    return make


def api(user, **changes):
    _, secret = tokens.create_token(user=user, name="t", actor=SYSTEM, **changes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def start(client, endpoint):
    said = {"endpoint": endpoint, "version": 2, "strategy": "canary", "parameters": CANARY, "reason": "x"}
    return client.post("/api/v1/rollouts", said, format="json")


def test_a_member_sees_and_moves_the_own_model_and_no_other(member, endpoint, other):
    client = api(member(Role.ENGINEER))
    assert [e["name"] for e in client.get("/api/v1/endpoints").json()["items"]] == ["churn-production"]
    assert client.get("/api/v1/rollouts").json()["items"] == []
    assert client.get("/api/v1/endpoints/fraud-production").status_code == 404
    theirs = other.rollouts.get().pk
    assert client.get(f"/api/v1/rollouts/{theirs}").status_code == 404
    for verb in ("pause", "abort", "approve"):
        answer = client.post(f"/api/v1/rollouts/{theirs}/{verb}", {"reason": "x"}, format="json")
        assert answer.status_code == 404, verb
    assert start(client, "fraud-production").status_code == 404
    started = start(client, "churn-production")
    assert started.status_code == 201
    own = started.json()["id"]

    refused = client.post(f"/api/v1/rollouts/{own}/promote", {"reason": "x"}, format="json")
    assert refused.status_code == 403 and "promote" in refused.json()["detail"]
    assert client.post(f"/api/v1/rollouts/{own}/abort", {"reason": "x"}, format="json").status_code == 202


def test_a_viewer_of_the_model_starts_nothing(member, endpoint):
    assert start(api(member(Role.VIEWER)), "churn-production").status_code == 403


def test_what_is_for_everything_needs_a_role_on_everything(member, endpoint):
    client = api(member(Role.ADMIN))
    assert client.post("/api/v1/environments", {"name": "x"}, format="json").status_code == 403
    freeze = {"start": "2030-01-01T00:00:00Z", "end": "2030-01-02T00:00:00Z", "reason": "x"}
    assert client.post("/api/v1/freezes", freeze, format="json").status_code == 403
    assert client.get("/api/v1/environments").status_code == 200


def test_pages_show_the_own_model_alone(member, endpoint, other):
    browser = Client()
    browser.force_login(member(Role.ENGINEER))
    for path in ("/", "/endpoints/", "/rollouts/", "/environments/"):
        text = browser.get(path).content.decode()
        assert "fraud" not in text, path
    theirs = other.rollouts.get().pk
    for path in ("/endpoints/fraud-production/", f"/rollouts/{theirs}/", f"/rollouts/{theirs}/pause"):
        assert browser.get(path).status_code == 404, path
    assert browser.get("/endpoints/churn-production/").status_code == 200


def test_plan_templates_follow_their_model(member, endpoint, other):
    keep = {"strategy": "canary", "parameters": CANARY, "actor": SYSTEM, "reason": "x"}
    plan_templates.save_template(name="theirs", model=other.model, **keep)
    plan_templates.save_template(name="everybodys", **keep)
    plan_templates.save_template(name="ours", model=endpoint.model, **keep)
    client = api(member(Role.ENGINEER))
    assert {t["name"] for t in client.get("/api/v1/templates").json()["items"]} == {"everybodys", "ours"}
    assert client.get("/api/v1/templates/theirs").status_code == 404
    gone = {"reason": "x"}
    assert client.delete("/api/v1/templates/everybodys", gone, format="json").status_code == 403
    assert client.delete("/api/v1/templates/ours", gone, format="json").status_code == 200


def test_a_token_that_may_only_view_moves_nothing(people, endpoint):
    rollout = start(api(people["engineer"]), "churn-production").json()["id"]
    reader = api(people["admin"], scopes=["read"])
    answer = reader.post(f"/api/v1/rollouts/{rollout}/pause", {"reason": "x"}, format="json")
    assert answer.status_code == 403 and "token" in answer.json()["detail"]
