"""Requests with a token go the short way, and arrive as on the long one."""

import pytest
from django.test import Client

from registry import services, tokens
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.identity import grant

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(django_user_model):
    user = django_user_model.objects.create(username="ada")
    grant(user, Role.ENGINEER)
    _, secret = tokens.create_token(user=user, name="x", actor=SYSTEM)
    services.create_model(name="churn", actor=SYSTEM)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def test_an_answer_has_its_length_and_may_not_be_framed_sniffed_or_run(client):
    answer = client.get("/api/v1/models/churn")
    assert answer.status_code == 200 and answer.json()["name"] == "churn"
    assert int(answer["Content-Length"]) == len(answer.content)
    assert answer["X-Content-Type-Options"] == "nosniff" and answer["X-Frame-Options"] == "DENY"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert not answer.cookies


def test_a_session_beside_a_token_is_not_looked_at(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    assert client.get("/api/v1/me").json()["user"] == "ada"
    client.defaults["HTTP_AUTHORIZATION"] = "Bearer slw_wrong"
    assert Client(headers={"Authorization": "bearer slw_wrong"}).get("/api/v1/me").status_code == 401


def test_requests_are_counted_on_the_short_way_too(client, settings):
    settings.SLIPWAY_RATE_TOKEN = 1
    assert client.get("/api/v1/me")["RateLimit"].startswith('"token";r=0')
    assert client.get("/api/v1/me").status_code == 429


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/api/v1/nothing", "GET", 404),
        ("/api/v1/models/churn/", "GET", 404),
        ("/api/v1/models/churn", "PUT", 405),
        ("/api/v1/models", "OPTIONS", 200),
        ("/api/v1/models/churn", "HEAD", 200),
    ],
)
def test_what_is_not_there_is_said_as_everywhere(client, path, method, status):
    answer = client.generic(method, path)
    assert answer.status_code == status
    if status >= 400:
        assert answer["Content-Type"] == "application/problem+json"


def test_a_host_that_is_not_ours_is_refused(client):
    assert client.get("/api/v1/me", headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_mistake_of_ours_is_a_problem_that_tells_nothing(client, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("registry.api.models.OneModel.at_once", staticmethod(fails))
    answer = client.get("/api/v1/models/churn")
    assert answer.status_code == 500 and answer.json()["code"] == "internal_error"
    assert "secret" not in answer.content.decode()
