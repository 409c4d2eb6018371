"""Every error code is documented, and unknown routes answer as problems."""

import re
from pathlib import Path

import pytest
from django.test import Client
from rest_framework import exceptions

import monitoring.errors
import rollouts.errors
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
