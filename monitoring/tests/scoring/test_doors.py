"""The pages and the REST routes of scoring: who may, and what they show."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from monitoring.models import ScoringJob
from monitoring.scoring import jobs, turns
from monitoring.tests.scoring.conftest import rows, write
from registry.domain.actor import SYSTEM
from registry.domain.roles import Permission, Role, permissions

pytestmark = pytest.mark.django_db
VIEW, REGISTER = Permission.VIEW, Permission.REGISTER
BODY = {"source": "in", "target": "other", "chunk_rows": 100}
OF = "/models/adder/versions/{number}/scorings"
API = [
    ("scorings-of", "GET", f"/api/v1{OF}", VIEW, {}, 200),
    ("scorings-of", "POST", f"/api/v1{OF}", REGISTER, BODY, 201),
    ("scorings", "GET", "/api/v1/scorings", VIEW, {}, 200),
    ("scoring", "GET", "/api/v1/scorings/{job}", VIEW, {}, 200),
    ("scoring-cancel", "POST", "/api/v1/scorings/{job}/cancel", REGISTER, {"reason": "x"}, 200),
    ("scoring-resume", "POST", "/api/v1/scorings/{job}/resume", REGISTER, {}, 409),
]
WEB = [
    ("scorings-of", "GET", f"{OF}/", VIEW, 200),
    ("scorings-of", "POST", f"{OF}/", REGISTER, 400),
    ("scorings-recent", "GET", f"{OF}/recent", VIEW, 200),
    ("scorings", "GET", "/scorings/", VIEW, 200),
    ("scoring", "GET", "/scorings/{job}/", VIEW, 200),
    ("scoring-cancel", "POST", "/scorings/{job}/cancel", REGISTER, 302),
    ("scoring-resume", "POST", "/scorings/{job}/resume", REGISTER, 302),
]
PEOPLE = [*(role.value for role in Role), "outsider", None]


@pytest.fixture
def named(version, tmp_path, settings):
    """A queued job, and what the addresses need."""
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    settings.SLIPWAY_TABLES = [str(tmp_path / "tables")]
    (tmp_path / "tables").mkdir()
    write(tmp_path / "tables" / "in", "csv", rows(1_000))
    job = jobs.start(version=version, source="in", target="out", chunk_rows=100, actor=SYSTEM)
    return {"job": job.pk, "number": version.number}


def names_in(namespace):
    names = {key for key in get_resolver().namespace_dict[namespace][1].reverse_dict if isinstance(key, str)}
    return {name for name in names if name.startswith("scoring")}


def test_the_tables_name_every_route_of_scoring():
    assert {row[0] for row in API} == names_in("monitoring-api")
    assert {row[0] for row in WEB} == names_in("monitoring")


def may(who, needed):
    return who in list(Role) and needed in permissions(Role(who))


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(
    ("name", "method", "url", "needed", "body", "status"), API, ids=lambda v: str(v)[:16]
)
def test_the_api_answers_each_role_as_the_table_says(
    named, people, who, name, method, url, needed, body, status
):
    client = APIClient(raise_request_exception=False)
    if who:
        client.force_authenticate(people[who])
    given = {"data": body, "format": "json"} if method == "POST" else {}
    answer = getattr(client, method.lower())(url.format(**named), **given)
    assert answer.status_code == (status if may(who, needed) else 403 if who else 401), answer.content


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(("name", "method", "url", "needed", "status"), WEB, ids=lambda v: str(v)[:16])
def test_the_pages_answer_each_role_as_the_table_says(
    named, people, client, who, name, method, url, needed, status
):
    if who:
        client.force_login(people[who])
    answer = getattr(client, method.lower())(url.format(**named))
    if who is None:
        assert answer.status_code == 302 and answer["Location"].startswith("/login?next=")
    else:
        assert answer.status_code == (status if may(who, needed) else 403)


@pytest.fixture
def engineer(named, people, client):
    client.force_login(people["engineer"])
    return client


def test_a_job_is_started_watched_cancelled_and_resumed_in_the_browser(engineer, named, store):
    ScoringJob.objects.all().delete()
    url = f"/models/adder/versions/{named['number']}/scorings/"
    assert "/tables</code>" in engineer.get(url).content.decode()
    answer = engineer.post(url, {"source": "in", "target": "answers", "chunk_rows": 100})
    page = engineer.get(answer["Location"]).content.decode()
    assert "begins as soon as a worker is free" in page and 'hx-trigger="every 2s"' in page
    pk = ScoringJob.objects.get().pk
    engineer.post(f"/scorings/{pk}/cancel")
    assert "goes on after its last part" in engineer.get(f"/scorings/{pk}/").content.decode()
    engineer.post(f"/scorings/{pk}/resume")
    (claimed,) = turns.claim()
    turns.work(claimed, store)
    fragment = engineer.get(f"/scorings/{pk}/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment and "hx-trigger" not in fragment
    assert "1000 rows in 10 parts" in fragment and ">stable<" in fragment
    assert ScoringJob.objects.get().result_digest in fragment and "/tables/answers" in fragment
    recent = engineer.get(f"{url}recent").content.decode()
    assert f"Job {pk}" in recent and "stable" in recent
    version_page = engineer.get(f"/models/adder/versions/{named['number']}/").content.decode()
    assert f'hx-get="{url}recent"' in version_page


def test_a_form_that_is_wrong_says_where(engineer, named):
    url = f"/models/adder/versions/{named['number']}/scorings/"
    answer = engineer.post(url, {"source": "/etc", "target": "x", "chunk_rows": 100})
    assert answer.status_code == 400 and "Tables may not be kept there" in answer.content.decode()


def test_a_change_without_its_csrf_token_is_refused(named, people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["engineer"])
    assert client.post(f"/scorings/{named['job']}/cancel").status_code == 403
    assert ScoringJob.objects.get().state == "queued"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "x"}, "source"),
        ({**BODY, "source": "/etc"}, "source"),
        ({**BODY, "source": "s3://bucket/x?endpoint_override=169.254.169.254"}, "source"),
        ({**BODY, "chunk_rows": 10**9}, "chunk_rows"),
        ({**BODY, "threads": 4}, "threads"),
    ],
    ids=["missing", "elsewhere", "options", "too many", "unknown"],
)
def test_a_request_that_is_wrong_is_a_problem_with_its_field(named, people, body, field):
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(people["engineer"])
    answer = client.post(f"/api/v1/models/adder/versions/{named['number']}/scorings", body, format="json")
    problem = answer.json()
    assert answer.status_code == 400 and field in str(problem), problem


def test_the_list_is_paged_and_shows_only_models_that_may_be_seen(named, people):
    client = APIClient()
    client.force_authenticate(people["viewer"])
    (item,) = client.get("/api/v1/scorings?state=queued&limit=1").json()["items"]
    assert item["model"] == "adder" and item["digest"].startswith("sha256:") and item["state"] == "queued"
    assert client.get(f"/api/v1/scorings?before={item['id']}").json()["items"] == []
    assert client.get("/api/v1/scorings/999999").status_code == 404
