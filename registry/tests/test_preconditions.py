"""ETags: reading what is known already, and changing only what was seen."""

import pytest

from registry import services
from registry.domain.actor import SYSTEM
from registry.models import Version

pytestmark = pytest.mark.django_db
MODEL, VERSION = "/api/v1/models/churn", "/api/v1/models/churn/versions/1"
ALIAS = "/api/v1/models/churn/aliases/canary"


def test_one_resource_has_an_etag_and_is_not_sent_again(api, version):
    client = api("viewer")
    for url in (MODEL, VERSION):
        first = client.get(url)
        tag = first["ETag"]
        again = client.get(url, HTTP_IF_NONE_MATCH=f'"other", {tag}')
        assert again.status_code == 304 and again.content == b"" and again["ETag"] == tag
        for known in (f"W/{tag}", "*"):
            assert client.get(url, HTTP_IF_NONE_MATCH=known).status_code == 304
        assert client.get(url, HTTP_IF_NONE_MATCH='"other"').status_code == 200
    assert "ETag" not in client.get("/api/v1/models")


@pytest.mark.parametrize(
    ("url", "method", "body"),
    [
        (MODEL, "patch", {"description": "new"}),
        (MODEL, "delete", None),
        (VERSION, "patch", {"notes": "new"}),
        (VERSION, "delete", None),
        (ALIAS, "put", {"version": 1}),
        (ALIAS, "delete", None),
    ],
)
def test_a_change_is_made_to_what_was_seen_and_to_nothing_else(api, version, model, url, method, body):
    client, send = api("admin"), None
    if url != VERSION:
        services.set_alias(model=model, name="canary", version=version, actor=SYSTEM)
    send = getattr(client, method)
    tag = client.get(url)["ETag"]
    stale = send(url, body, format="json", HTTP_IF_MATCH='"0123"')
    assert stale.status_code == 412 and stale.json()["code"] == "precondition_failed"
    assert client.get(url)["ETag"] == tag, "nothing was changed"
    assert send(url, body, format="json", HTTP_IF_MATCH=tag).status_code in {200, 204}


def test_the_answer_to_a_change_has_the_new_etag(api, version):
    client = api("engineer")
    old = client.get(VERSION)["ETag"]
    changed = client.patch(VERSION, {"notes": "n"}, format="json", HTTP_IF_MATCH=old)
    assert changed["ETag"] != old and changed["ETag"] == client.get(VERSION)["ETag"]
    again = client.patch(VERSION, {"notes": "m"}, format="json", HTTP_IF_MATCH=old)
    assert again.status_code == 412 and client.get(VERSION).json()["notes"] == "n"


def test_setting_an_alias_answers_with_what_it_is_from_then_on(api, version):
    client = api("engineer")
    other = Version.objects.create(model=version.model, number=2, size=1)
    for number in (version.number, other.number, other.number):
        put = client.put(ALIAS, {"version": number}, format="json")
        got = client.get(ALIAS)
        assert (put.content, put["ETag"]) == (got.content, got["ETag"])
        assert got.json()["version"] == number and got.json()["updated_at"]
    assert client.get("/api/v1/models/churn/aliases").json()["items"] == [got.json()]


def test_what_does_not_exist_matches_nothing(api, version):
    answer = api("engineer").put(ALIAS, {"version": 1}, format="json", HTTP_IF_MATCH="*")
    assert answer.status_code == 412


def test_where_it_is_required_a_change_without_if_match_is_refused(api, version, settings):
    settings.SLIPWAY_REQUIRE_IF_MATCH = True
    answer = api("engineer").patch(VERSION, {"notes": "n"}, format="json")
    assert answer.status_code == 428 and answer.json()["code"] == "precondition_required"
