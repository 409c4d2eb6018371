"""A POST to the rollouts' API that is sent again under its `Idempotency-Key` acts once."""

from __future__ import annotations

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from rollouts.models import Rollout
from rollouts.tests.cast import FAST

pytestmark = pytest.mark.django_db
START = {"endpoint": "churn-production", "version": 2, "parameters": FAST, "reason": "better recall"}


@pytest.fixture
def pipeline(people, endpoint) -> APIClient:
    client = APIClient()
    client.force_authenticate(people["engineer"])
    return client


def post(client, path, body, key):
    return client.post(f"/api/v1/{path}", body, format="json", headers={"Idempotency-Key": key})


def test_a_start_that_is_sent_again_is_the_same_rollout(pipeline):
    first, second = (post(pipeline, "rollouts", START, "build-17") for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert Rollout.objects.count() == 1


def test_an_abort_that_is_sent_again_gets_the_first_answer(pipeline):
    rollout = post(pipeline, "rollouts", START, "build-17").json()["id"]
    first, second = (
        post(pipeline, f"rollouts/{rollout}/abort", {"reason": "wrong file"}, "stop-17") for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert second["Idempotent-Replayed"] == "true"
    assert Rollout.objects.get().transitions.filter(to_phase="rolling_back").count() == 1


def test_a_refused_start_may_be_mended_and_sent_under_the_same_key(pipeline):
    wrong = {**START, "parameters": {"steps": [50, 5]}}
    assert post(pipeline, "rollouts", wrong, "build-18").status_code == 400
    assert post(pipeline, "rollouts", START, "build-18").status_code == 201


def test_every_post_that_changes_something_takes_a_key():
    """`preview` writes nothing."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    without = [
        path
        for path, methods in schema["paths"].items()
        if path.startswith(
            ("/api/v1/rollouts", "/api/v1/endpoints", "/api/v1/environments", "/api/v1/freezes")
        )
        and "post" in methods
        and "Idempotency-Key" not in {field["name"] for field in methods["post"].get("parameters", [])}
    ]
    assert without == ["/api/v1/rollouts/preview"]
