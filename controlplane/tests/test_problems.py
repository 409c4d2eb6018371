"""Every error code is documented, and unknown routes answer as problems."""

import io
import re
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from rest_framework import exceptions

import monitoring.errors
import rollouts.errors
from controlplane.requests import RequestMiddleware
from registry.errors import DomainError

DOCUMENTED = set(
    re.findall(r"`([a-z_]+)`", Path(__file__).resolve().parents[2].joinpath("docs/api.md").read_text())
)
_MODULES = (monitoring.errors, rollouts.errors)


def kinds(base):
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def test_every_code_of_slipways_own_errors_is_documented():
    codes = {kind.code for kind in kinds(DomainError) if not kind.__module__.startswith("registry.mlflow")}
    assert codes - DOCUMENTED == set()
    assert {"invalid", "frozen", "rate_limited"} <= codes


def test_every_code_of_the_framework_is_documented():
    codes = {
        kind.default_code for kind in kinds(exceptions.APIException) if kind.__module__ == exceptions.__name__
    }
    assert codes - DOCUMENTED == set()


@pytest.mark.django_db
def test_an_unknown_route_is_a_problem_under_api_and_a_page_elsewhere():
    answer = Client().get("/api/v1/nothing")
    assert answer.status_code == 404 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert Client().get("/nothing")["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_what_django_refuses_is_a_problem_under_api_and_a_page_elsewhere(settings):
    settings.ALLOWED_HOSTS = ["slipway.example.org"]
    answer = Client().get("/api/v1/models", headers={"Authorization": "Bearer x", "Host": "elsewhere"})
    assert answer.status_code == 400 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid"
    page = Client().get("/models/", headers={"Host": "elsewhere"})
    assert page.status_code == 400 and page["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("sent", "left"), [(b"x" * 200_000, 0), (b"x" * (2 << 20), 1 << 20), (b"", 0)])
def test_what_a_view_left_of_a_short_body_is_read_before_the_answer(sent, left):
    """Else gunicorn throws it away afterwards, and the beginning of the next request with it."""
    request = RequestFactory().generic("POST", "/nowhere", sent, content_type="application/json")
    request.environ["wsgi.input"] = body = io.BytesIO(sent)
    request._stream._read = body.read
    RequestMiddleware(lambda _: HttpResponse())(request)
    assert len(body.read()) == left
