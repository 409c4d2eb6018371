"""The page and the REST routes of notices: who may, and what they show."""

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from monitoring.models import NoticeTarget
from registry.domain.roles import Permission, Role, permissions
from tests.receiver import Receiver

API = [
    ("notices", "GET", "/api/v1/notices"),
    ("notice-targets", "GET", "/api/v1/notice-targets"),
    ("notice-targets", "POST", "/api/v1/notice-targets"),
    ("notice-target-test", "POST", "/api/v1/notice-targets/chat/test"),
    ("notice-target-off", "POST", "/api/v1/notice-targets/chat/off"),
    ("notice-target-on", "POST", "/api/v1/notice-targets/chat/on"),
]
WEB = [
    ("notices", "GET", "/notices/"),
    ("notices", "POST", "/notices/"),
    ("notice-test", "POST", "/notices/chat/test"),
    ("notice-switch", "POST", "/notices/chat/off"),
]
PEOPLE = [*(role.value for role in Role), "outsider", None]


@pytest.fixture
def receiver(settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.1"]
    with Receiver() as receiver:
        yield receiver


def names_in(namespace):
    return {key for key in get_resolver().namespace_dict[namespace][1].reverse_dict if isinstance(key, str)}


def test_the_tables_name_every_route_of_notices():
    assert {row[0] for row in API} == {n for n in names_in("monitoring-api") if n.startswith("notice")}
    assert {row[0] for row in WEB} == {n for n in names_in("monitoring") if n.startswith("notice")}


def url_of(receiver):
    return f"json://bob:hunter2@127.0.0.1:{receiver.port}/s3cr3t"


@pytest.fixture
def target(receiver, people):
    client = APIClient()
    client.force_authenticate(people["release_manager"])
    answer = client.post("/api/v1/notice-targets", {"name": "chat", "url": url_of(receiver)}, format="json")
    assert answer.status_code == 201, answer.data
    return NoticeTarget.objects.get()


def may(who):
    return who in list(Role) and Permission.PROMOTE in permissions(Role(who))


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(("name", "method", "url"), API)
def test_only_release_managers_use_the_api(target, people, receiver, who, name, method, url):
    client = APIClient(raise_request_exception=False)
    if who:
        client.force_authenticate(people[who])
    body = {"name": "second", "url": url_of(receiver)} if name == "notice-targets" else {}
    answer = client.get(url) if method == "GET" else client.post(url, body, format="json")
    if not may(who):
        assert answer.status_code == (403 if who else 401)
    elif name == "notice-target-on":
        assert answer.status_code == 409, "it is on"
    else:
        assert answer.status_code in {200, 201}
        assert "s3cr3t" not in answer.content.decode()
        assert "hunter2" not in answer.content.decode()


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(("name", "method", "url"), WEB)
def test_only_release_managers_use_the_page(target, people, client, who, name, method, url):
    if who:
        client.force_login(people[who])
    answer = client.get(url) if method == "GET" else client.post(url)
    if who is None:
        assert answer.status_code == 302 and answer["Location"].startswith("/login?next=")
    elif not may(who):
        assert answer.status_code == 403
    else:
        assert answer.status_code == (
            400 if (name, method) == ("notices", "POST") else 302 if method == "POST" else 200
        )


def test_the_page_adds_a_target_tests_it_and_never_shows_its_address(receiver, people, client):
    client.force_login(people["release_manager"])
    form = {
        "name": "chat",
        "url": url_of(receiver),
        "least": "warning",
        "kinds": "rollout, alert",
        "environments": "",
    }
    page = client.post("/notices/", form, follow=True).content.decode()
    assert "JSON at 127.0.0.1" in page and "warning or worse" in page
    assert NoticeTarget.objects.get().kinds == ["rollout", "alert"]
    page += client.post("/notices/chat/test", follow=True).content.decode()
    assert "was sent to chat" in page
    receiver.answer = lambda r: (500, {}, b"")
    page += client.post("/notices/chat/test", follow=True).content.decode()
    assert "did not reach chat" in page
    page += client.post("/notices/", {**form, "name": "chat"}).content.decode()
    assert "There is a target" in page
    assert "s3cr3t" not in page and "hunter2" not in page


def test_a_bad_address_is_a_problem_with_its_field(people):
    client = APIClient()
    client.force_authenticate(people["admin"])
    answer = client.post("/api/v1/notice-targets", {"name": "chat", "url": "ftp://x/secret"}, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, "url")
    assert "secret" not in answer.content.decode()
