from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from monitoring.domain.judge import Verdict
from registry.domain.roles import Role
from registry.models import Alias
from rollouts.models import Environment, Rollout
from rollouts.tests.cast import FAST, judgement

pytestmark = pytest.mark.django_db

BODY = {"endpoint": "churn-production", "version": 2, "parameters": FAST, "reason": "better recall"}


@pytest.fixture
def client_of(people):
    def signed_in(name: str) -> APIClient:
        client = APIClient()
        client.force_authenticate(people[name])
        return client

    return signed_in


@pytest.fixture
def engineer(client_of, endpoint) -> APIClient:
    return client_of("engineer")


def started(client: APIClient) -> dict:
    response = client.post("/api/v1/rollouts", BODY, format="json")
    assert response.status_code == 201, response.json()
    return response.json()


def test_a_pipeline_starts_a_rollout_and_reads_where_it_is(engineer):
    document = started(engineer)
    assert document["phase"] == "pending"
    assert document["steps"][0]["kind"] == "provision"
    again = engineer.get(f"/api/v1/rollouts/{document['id']}").json()
    assert again == document
    assert again["weight"] == {"intended": 0, "observed": None}
    assert again["actions"] == ["abort"]


def test_the_list_is_paged_by_key(engineer, endpoint):
    first = Rollout.objects.get(pk=started(engineer)["id"])
    for _ in range(4):
        first.pk, first.phase = None, "rolled_back"
        first.save()
    page = engineer.get("/api/v1/rollouts?limit=3").json()
    rest = engineer.get(f"/api/v1/rollouts?limit=3&before={page['next']}").json()
    ids = [item["id"] for item in page["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    assert rest["next"] is None
    active = engineer.get("/api/v1/rollouts?phase=active").json()["items"]
    assert [item["phase"] for item in active] == ["pending"]


def test_listing_costs_the_same_queries_for_many_rows(engineer, django_assert_max_num_queries):
    row = Rollout.objects.get(pk=started(engineer)["id"])
    for _ in range(20):
        row.pk, row.phase = None, "rolled_back"
        row.save()
    with django_assert_max_num_queries(3):
        assert len(engineer.get("/api/v1/rollouts").json()["items"]) == 21


def test_verbs_ask_for_a_reason_and_answer_with_the_new_state(engineer):
    url = f"/api/v1/rollouts/{started(engineer)['id']}"
    assert engineer.post(f"{url}/abort", {}, format="json").status_code == 400
    response = engineer.post(f"{url}/abort", {"reason": "stop"}, format="json")
    assert response.status_code == 202
    assert response.json()["phase"] == "rolling_back"
    refused = engineer.post(f"{url}/pause", {"reason": "wait"}, format="json")
    assert refused.status_code == 409
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "wrong_phase"


def test_the_timeline_tells_who_and_why(engineer):
    rollout = started(engineer)["id"]
    engineer.post(f"/api/v1/rollouts/{rollout}/abort", {"reason": "stop"}, format="json")
    items = engineer.get(f"/api/v1/rollouts/{rollout}/transitions").json()["items"]
    assert [(item["to_phase"], item["actor"], item["reason"]) for item in items] == [
        ("pending", "engineer", "better recall"),
        ("rolling_back", "engineer", "stop"),
    ]


def test_the_looks_at_the_gates_are_paged_newest_first(engineer):
    rollout = Rollout.objects.get(pk=started(engineer)["id"])
    for number in (1, 2, 3):
        seen = judgement(Verdict.PASS if number == 3 else Verdict.NO_DATA, f"look {number}")
        rollout.look_log.create(
            number=number, at=seen.at, step=0, verdict=seen.verdict.value, judgement=seen.to_dict()
        )
    page = engineer.get(f"/api/v1/rollouts/{rollout.pk}/looks?limit=2").json()
    rest = engineer.get(f"/api/v1/rollouts/{rollout.pk}/looks?before={page['next']}").json()
    looks = page["items"] + rest["items"]
    assert [(look["number"], look["reason"]) for look in looks] == [(n, f"look {n}") for n in (3, 2, 1)]
    assert looks[0]["verdict"] == "pass" and looks[0]["gates"][0]["reason"] == "look 3"
    assert rest["next"] is None


def test_a_preview_writes_nothing(engineer):
    response = engineer.post("/api/v1/rollouts/preview", {**BODY, "reason": ""}, format="json")
    assert response.status_code == 200
    assert response.json()["least_seconds"] == 60
    assert not Rollout.objects.exists()


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"version": 1}, 400, "version"),
        ({"version": 99}, 404, None),
        ({"endpoint": "nowhere"}, 404, "endpoint"),
        ({"strategy": "yolo"}, 400, "strategy"),
        ({"parameters": {"steps": [50, 150]}}, 400, "parameters.steps[1]"),
        ({"parameters": {"steps": [50, 5]}}, 400, "parameters.steps[1]"),
        ({"reason": " "}, 400, None),
        ({"parameters": []}, 400, None),
        ({"version": "2; drop table"}, 400, None),
        ({"endpoint": "a\x00b"}, 400, None),
    ],
)
def test_bad_requests_name_the_field_and_write_nothing(engineer, change, status, field):
    response = engineer.post("/api/v1/rollouts", {**BODY, **change}, format="json")
    assert response.status_code == status, response.json()
    if field:
        assert response.json()["field"] == field
    assert not Rollout.objects.exists()


@pytest.mark.parametrize("query", ["before=x", "limit=-1", "before=99999999999999999999"])
def test_bad_queries_are_refused_politely(engineer, query):
    assert engineer.get(f"/api/v1/rollouts?{query}").status_code == 400


def test_a_second_rollout_is_a_conflict(engineer):
    started(engineer)
    response = engineer.post("/api/v1/rollouts", {**BODY, "version": 3}, format="json")
    assert (response.status_code, response.json()["code"]) == (409, "rollout_active")


def test_a_newer_candidate_may_supersede(engineer):
    started(engineer)
    response = engineer.post("/api/v1/rollouts", {**BODY, "version": 3, "supersede": True}, format="json")
    assert (response.status_code, response.json()["phase"]) == (201, "queued")


def test_a_rollback_to_a_version_that_never_served_is_refused(engineer):
    response = engineer.post(
        "/api/v1/endpoints/churn-production/rollback", {"reason": "back", "version": 3}, format="json"
    )
    assert (response.status_code, response.json()["field"]) == (400, "version")


def test_environments_and_endpoints_are_made_over_rest(client_of, versions):
    admin = client_of("admin")
    made = admin.post("/api/v1/environments", {"name": "production"}, format="json")
    assert (made.status_code, made.json()["alias"]) == (201, "champion")
    body = {"name": "churn-production", "model": "churn", "environment": "production", "version": 1}
    assert admin.post("/api/v1/endpoints", body, format="json").status_code == 201
    assert admin.get("/api/v1/endpoints/churn-production").json()["stable"]["version"] == 1
    assert admin.get("/api/v1/endpoints").json()["items"][0]["name"] == "churn-production"
    assert Alias.objects.get(name="champion").version.number == 1
    assert admin.post("/api/v1/environments", {"name": "production"}, format="json").status_code == 409
    assert Environment.objects.count() == 1


# What each role may do; None stands for a request without any identity.
ROUTES = {
    ("get", "/api/v1/rollouts"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/rollouts/1"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/rollouts/1/transitions"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/endpoints"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/endpoints/churn-production"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/environments"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/preview"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/pause"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/resume"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/abort"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/retry"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/promote"): {"release_manager", "admin"},
    ("post", "/api/v1/endpoints/churn-production/rollback"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/endpoints"): {"release_manager", "admin"},
    ("post", "/api/v1/environments"): {"admin"},
    ("put", "/api/v1/environments/production/policy"): {"admin"},
    ("put", "/api/v1/environments/production/target"): {"admin"},
    ("get", "/api/v1/targets"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/endpoints/churn-production/history"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/rollouts/1/approvals"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/approve"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/refuse"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/rollouts/1/break-glass"): {"release_manager", "admin"},
    ("get", "/api/v1/freezes"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/rollouts/1/looks"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/endpoints/churn-production/comparison"): {
        "viewer",
        "engineer",
        "release_manager",
        "admin",
    },
    ("get", "/api/v1/endpoints/churn-production/drift"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/endpoints/churn-production/quality"): {
        "viewer",
        "engineer",
        "release_manager",
        "admin",
    },
    ("get", "/api/v1/endpoints/churn-production/retraining"): {
        "viewer",
        "engineer",
        "release_manager",
        "admin",
    },
    ("get", "/api/v1/endpoints/churn-production/retraining/runs"): {
        "viewer",
        "engineer",
        "release_manager",
        "admin",
    },
    ("put", "/api/v1/endpoints/churn-production/retraining"): {"release_manager", "admin"},
    ("post", "/api/v1/predictions"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/labels"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/freezes"): {"release_manager", "admin"},
    ("get", "/api/v1/gates"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/gates/churn-production"): {"viewer", "engineer", "release_manager", "admin"},
    ("put", "/api/v1/gates/churn-production"): {"engineer", "release_manager", "admin"},
    ("delete", "/api/v1/gates/churn-production"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/dry-runs"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/templates"): {"viewer", "engineer", "release_manager", "admin"},
    ("get", "/api/v1/templates/churn-production"): {"viewer", "engineer", "release_manager", "admin"},
    ("put", "/api/v1/templates/churn-production"): {"engineer", "release_manager", "admin"},
    ("delete", "/api/v1/templates/churn-production"): {"engineer", "release_manager", "admin"},
    ("post", "/api/v1/freezes/1/end"): {"release_manager", "admin"},
    ("get", "/api/v1/hooks"): {"viewer", "engineer", "release_manager", "admin"},
    ("post", "/api/v1/hooks"): {"release_manager", "admin"},
    ("post", "/api/v1/hooks/churn-production/ping"): {"release_manager", "admin"},
    ("post", "/api/v1/hooks/churn-production/secret"): {"release_manager", "admin"},
    ("post", "/api/v1/hooks/churn-production/on"): {"release_manager", "admin"},
    ("post", "/api/v1/hooks/churn-production/off"): {"release_manager", "admin"},
    ("get", "/api/v1/rollouts/1/hooks"): {"viewer", "engineer", "release_manager", "admin"},
}


@pytest.mark.parametrize(("method", "url"), ROUTES)
@pytest.mark.parametrize("name", [*(role.value for role in Role), "outsider", None])
def test_every_route_answers_each_role_as_the_table_says(client_of, endpoint, name, method, url):
    client = client_of(name) if name else APIClient()
    status = getattr(client, method)(url, BODY, format="json").status_code
    if name is None:
        assert status == 401
    elif name in ROUTES[method, url]:
        assert status not in {401, 403, 500}
    else:
        assert status == 403


def test_the_table_names_every_route_of_the_app():
    from django.urls import reverse

    from rollouts.api.urls import urlpatterns

    kwargs = {"name": "churn-production", "rollout_id": 1, "window_id": 1}
    named = set()
    for pattern in urlpatterns:
        wanted = {key: kwargs[key] for key in pattern.pattern.converters}
        if pattern.name in {"environment-policy", "environment-target"}:
            wanted = {"name": "production"}
        named.add(reverse(f"rollouts-api:{pattern.name}", kwargs=wanted))
    assert named == {url for _, url in ROUTES}
