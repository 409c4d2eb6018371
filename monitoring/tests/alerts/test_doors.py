"""The pages and the REST routes of alerts: who may, and what they show."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from monitoring.alerting import people as verbs
from monitoring.models import Alert, AlertRule, AlertSilence
from registry.domain.actor import SYSTEM
from registry.domain.roles import Permission, Role, permissions
from registry.models import Model, RoleGrant

VIEW, CONTROL, PROMOTE = Permission.VIEW, Permission.CONTROL_ROLLOUT, Permission.PROMOTE
RULE = {"name": "slow", "series": "latency", "threshold": 100, "reason": "users wait"}


def soon():
    return (timezone.now() + timedelta(hours=2)).isoformat()


def silence():
    return {"matchers": {"rule": "*"}, "ends_at": soon(), "reason": "works"}


API = [
    ("alerts", "GET", "/api/v1/alerts", VIEW, dict),
    ("alert", "GET", "/api/v1/alerts/{alert}", VIEW, dict),
    ("alert-acknowledge", "POST", "/api/v1/alerts/{alert}/acknowledge", CONTROL, dict),
    ("alert-rules", "GET", "/api/v1/alert-rules", VIEW, dict),
    ("alert-rules", "POST", "/api/v1/alert-rules", PROMOTE, lambda: RULE),
    ("alert-rules-export", "GET", "/api/v1/alert-rules/prometheus.yml", VIEW, dict),
    ("alert-rule", "GET", "/api/v1/alert-rules/errors", VIEW, dict),
    ("alert-rule", "PATCH", "/api/v1/alert-rules/errors", PROMOTE, lambda: {"threshold": 0.1, "reason": "x"}),
    ("alert-rule", "DELETE", "/api/v1/alert-rules/errors?reason=x", PROMOTE, dict),
    ("silences", "GET", "/api/v1/silences", VIEW, dict),
    ("silences", "POST", "/api/v1/silences", CONTROL, silence),
    ("silence-end", "POST", "/api/v1/silences/{silence}/end", CONTROL, dict),
]
WEB = [
    ("alerts", "GET", "/alerts/", VIEW, 200),
    ("alert", "GET", "/alerts/{alert}/", VIEW, 200),
    ("alert", "POST", "/alerts/{alert}/", CONTROL, 302),
    ("alert-rule-new", "GET", "/alerts/rules/new", PROMOTE, 200),
    ("alert-rule-new", "POST", "/alerts/rules/new", PROMOTE, 400),
    ("alert-rule", "GET", "/alerts/rules/errors/", PROMOTE, 200),
    ("alert-rule", "POST", "/alerts/rules/errors/", PROMOTE, 400),
    ("alert-rule-remove", "POST", "/alerts/rules/errors/remove", PROMOTE, 400),
    ("alert-rule-switch", "POST", "/alerts/rules/errors/off", PROMOTE, 302),
    ("silences", "GET", "/alerts/silences/", VIEW, 200),
    ("silences", "POST", "/alerts/silences/", CONTROL, 400),
    ("silence-end", "POST", "/alerts/silences/{silence}/end", CONTROL, 302),
]
PEOPLE = [*(role.value for role in Role), "outsider", None]
PREFIXES = ("alert", "silence")


@pytest.fixture
def rows(db):
    """A rule that fires for the model churn, and a silence of something else."""
    rule = verbs.add_rule({"name": "errors", "series": "error_rate", "threshold": 0.02}, actor=SYSTEM)
    now = timezone.now()
    Model.objects.create(name="churn")
    alert = Alert.objects.create(
        rule=rule, endpoint="prod", model="churn", version="2", severity="warning", state="firing", since=now,
        pending_since=now, fired_at=now, value=0.3, worst=0.4,
    )  # fmt: skip
    quiet = AlertSilence.objects.create(
        matchers={"rule": "other"}, starts_at=now, ends_at=now + timedelta(days=1), reason="x", created_by="a"
    )
    return {"alert": alert.pk, "silence": quiet.pk}


def names_in(namespace):
    names = {k for k in get_resolver().namespace_dict[namespace][1].reverse_dict if isinstance(k, str)}
    return {name for name in names if name.startswith(PREFIXES)}


def test_the_tables_name_every_route_of_alerts():
    assert {row[0] for row in API} == names_in("monitoring-api")
    assert {row[0] for row in WEB} == names_in("monitoring")


def may(who, needed):
    return who in list(Role) and needed in permissions(Role(who))


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(("name", "method", "url", "needed", "body"), API, ids=lambda v: str(v)[:16])
def test_the_api_answers_each_role_as_the_table_says(rows, people, who, name, method, url, needed, body):
    client = APIClient(raise_request_exception=False)
    if who:
        client.force_authenticate(people[who])
    answer = getattr(client, method.lower())(
        url.format(**rows), body(), format="json" if method != "GET" else None
    )
    if not may(who, needed):
        assert answer.status_code == (403 if who else 401)
    else:
        assert answer.status_code in {200, 201, 204}, answer.content


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(("name", "method", "url", "needed", "status"), WEB, ids=lambda v: str(v)[:16])
def test_the_pages_answer_each_role_as_the_table_says(
    rows, people, client, who, name, method, url, needed, status
):
    if who:
        client.force_login(people[who])
    answer = getattr(client, method.lower())(url.format(**rows))
    if who is None:
        assert answer.status_code == 302 and answer["Location"].startswith("/login?next=")
    elif not may(who, needed):
        assert answer.status_code == 403
    else:
        assert answer.status_code == status


@pytest.fixture
def manager(rows, people, client):
    client.force_login(people["release_manager"])
    return client


def test_the_page_says_what_fires_and_how_the_rules_are(manager, rows):
    AlertRule.objects.filter(name="errors").update(health="error", note="the metrics provider did not answer")
    page = manager.get("/alerts/").content.decode()
    assert "The error rate is 30.0 %; the rule says error rate &gt; 2.0 % for 5 min." in page
    assert "the metrics provider did not answer" in page
    assert "p95 latency &gt; 200 ms for 5 min" in page, "the default rules are there"
    fragment = manager.get("/alerts/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment and "30.0 %" in fragment


def test_an_alert_is_taken_in_hand_on_its_page(manager, rows):
    url = f"/alerts/{rows['alert']}/"
    page = manager.post(url, {"comment": "looking <b>into</b> it"}, follow=True).content.decode()
    assert "looking &lt;b&gt;into&lt;/b&gt; it" in page
    assert Alert.objects.get().acknowledged_by == "release_manager"
    again = manager.post(url, follow=True).content.decode()
    assert "has acknowledged it already" in again


def test_a_rule_and_a_silence_are_added_on_their_pages(manager):
    form = {
        "name": "slow", "series": "latency", "operator": ">", "threshold": "150", "for_seconds": "60",
        "window_seconds": "60", "severity": "critical", "reason": "users wait",
    }  # fmt: skip
    page = manager.post("/alerts/rules/new", form, follow=True).content.decode()
    assert "p95 latency &gt; 150 ms for 1 min" in page
    bad = manager.post("/alerts/rules/new", {**form, "name": "slow2", "threshold": "-1"})
    assert bad.status_code == 400 and b"Expected a number at least 0" in bad.content
    page = manager.post(
        "/alerts/silences/", {"rule": "slow", "hours": "4", "reason": "works"}, follow=True
    ).content.decode()
    assert "rule=slow" in page and "In force" in page
    nothing = manager.post("/alerts/silences/", {"hours": "4", "reason": "works"})
    assert nothing.status_code == 400


def test_a_rule_is_changed_and_removed_on_its_page(manager, rows):
    url = "/alerts/rules/errors/"
    assert 'value="0.02"' in manager.get(url).content.decode()
    rule = AlertRule.objects.get(name="errors").rule
    form = {name: value for name, value in rule.to_dict().items() if name != "name"}
    bad = manager.post(url, {**form, "threshold": "7", "reason": "x"})
    assert bad.status_code == 400 and b"at most 1" in bad.content
    changed = {**form, "threshold": "0.05", "description": "call the team", "reason": "too noisy"}
    page = manager.post(url, changed, follow=True).content.decode()
    assert "error rate &gt; 5.0 % for 5 min" in page
    after = AlertRule.objects.get(name="errors").rule
    assert {**after.to_dict(), "threshold": 0.02, "description": ""} == rule.to_dict()
    assert Alert.objects.get().state == "expired", "what the rule said before is put away"
    assert manager.post(f"{url}remove", {"reason": "not ours"}, follow=True).status_code == 200
    assert not AlertRule.objects.filter(name="errors").exists()
    assert manager.get(url).status_code == 404


def test_an_alert_s_page_leads_to_a_silence_of_it_and_to_its_rule(manager, rows):
    page = manager.get(f"/alerts/{rows['alert']}/").content.decode()
    assert 'href="/alerts/rules/errors/"' in page
    link = re.search(r'href="(/alerts/silences/\?[^"]+)"', page)[1].replace("&amp;", "&")
    form = manager.get(link).content.decode()
    assert 'value="errors"' in form and 'value="prod"' in form


def test_a_pending_alert_has_a_page_and_one_that_subsided_is_explained(manager, rows):
    Alert.objects.update(state="pending", fired_at=None)
    url = f"/alerts/{rows['alert']}/"
    assert "Pending" in manager.get(url).content.decode()
    Alert.objects.all().delete()
    page = manager.get(url, follow=True)
    assert page.redirect_chain == [("/alerts/", 302)]
    assert "did not last long enough" in page.content.decode()


def test_alerts_on_models_of_others_are_not_shown(rows, people, client):
    AlertRule.objects.filter(name="errors").update(readings=[["secret-endpoint", "churn", "2", "", 0.3]])
    RoleGrant.objects.create(user=people["outsider"], role=Role.ENGINEER.value, team="risk")
    client.force_login(people["outsider"])
    page = client.get("/alerts/").content.decode()
    assert "30.0 %" not in page and "secret-endpoint" not in page
    assert client.get(f"/alerts/{rows['alert']}/").status_code == 404
    assert client.post(f"/alerts/{rows['alert']}/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "rule.series"),
        ({**RULE, "threshold": "many"}, "rule.threshold"),
        ({**RULE, "colour": "red"}, "rule.colour"),
        ([], None),
        ({**RULE, "name": "errors"}, "name"),
    ],
)
def test_a_bad_rule_is_a_problem_with_its_field(rows, people, body, field):
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(people["admin"])
    answer = client.post("/api/v1/alert-rules", body, format="json")
    assert answer.status_code in {400, 409} and answer.json().get("field") == field


def test_the_rules_for_prometheus_are_those_that_are_on(rows, people):
    client = APIClient()
    client.force_authenticate(people["admin"])
    client.patch("/api/v1/alert-rules/latency_p95", {"enabled": False, "reason": "noisy"}, format="json")
    text = client.get("/api/v1/alert-rules/prometheus.yml").content.decode()
    assert "alert: errors" in text and "latency_p95" not in text
