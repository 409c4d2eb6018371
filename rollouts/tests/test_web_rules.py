"""Freeze windows, environments and their policies, strategies and the endpoint's history on the pages."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.domain.actor import Actor
from registry.domain.roles import Role
from registry.models import AuditEntry
from rollouts import approvals, services
from rollouts.domain.strategies import STARTABLE
from rollouts.models import Environment, FreezeWindow, Rollout, Tenure

pytestmark = pytest.mark.django_db
GRACE = Actor(kind="user", name="grace", id=2)
FREEZE = {
    "environment": "production",
    "starts_at": "2030-12-20T18:00",
    "ends_at": "2031-01-02T08:00",
    "timezone": "Europe/Berlin",
    "recurrence": "",
    "rule": "",
    "reason": "holidays",
}
POLICY = {
    "start_count": 0,
    "start_group": "release_manager",
    "start_hours": 24,
    "promotion_count": 2,
    "promotion_group": "release_manager",
    "promotion_hours": 12,
    "four_eyes": "on",
    "after": "",
    "reason": "audit finding 12",
}
START = {"endpoint": "churn-production", "version": "2", "reason": "better recall"}


@pytest.fixture
def freeze(endpoint) -> FreezeWindow:
    """In force everywhere, for an hour more."""
    now = timezone.now()
    hour = timedelta(hours=1)
    return approvals.add_freeze(
        environment=None, starts_at=now - hour, ends_at=now + hour, reason="audit week", actor=GRACE
    )


def test_a_freeze_is_added_in_the_wall_clock_time_of_its_zone(as_user, endpoint):
    client = as_user("release_manager")
    assert client.get("/freezes/new").status_code == 200
    assert client.post("/freezes/new", FREEZE).status_code == 302
    window = FreezeWindow.objects.get()
    assert window.starts_at.isoformat() == "2030-12-20T17:00:00+00:00"
    page = client.get("/freezes/").content.decode()
    assert "holidays" in page
    assert "Fri 2030-12-20 18:00" in page
    assert "Coming" in page


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ends_at": "2030-12-01T00:00"}, "It ends before it begins"),
        ({"ends_at": "2032-12-01T00:00"}, "at most 366 days"),
        ({"starts_at": "2020-12-24T00:00", "ends_at": "2020-12-27T00:00"}, "That time is over"),
        ({"rule": "FREQ=WEEKLY"}, "Choose “By the rule below” above"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"recurrence": "other", "rule": "FREQ=SOMETIMES"}, "not a recurrence"),
        ({"recurrence": "other"}, "Write the rule"),
        ({"reason": ""}, "required"),
        ({"starts_at": "soon"}, "valid date"),
    ],
)
def test_a_wrong_freeze_is_shown_with_what_to_mend(as_user, endpoint, changes, says):
    response = as_user("release_manager").post("/freezes/new", {**FREEZE, **changes})
    assert response.status_code == 422
    assert says in response.content.decode()
    assert not FreezeWindow.objects.exists()


def test_a_freeze_in_force_is_shown_where_people_start_and_is_ended_with_a_reason(as_user, freeze):
    client = as_user("release_manager")
    for url in ("/environments/", "/endpoints/churn-production/", "/rollouts/new?endpoint=churn-production"):
        assert "audit week" in client.get(url).content.decode(), url
    question = client.get(f"/freezes/{freeze.pk}/end").content.decode()
    assert "Rollouts that it holds go on" in question
    client.post(f"/freezes/{freeze.pk}/end", {"reason": "over early"})
    freeze.refresh_from_db()
    assert freeze.ended_at is not None
    assert AuditEntry.objects.get(action="freeze.end").reason == "over early"


def test_breaking_the_glass_starts_in_a_freeze_for_those_who_may(as_user, freeze, versions):
    engineer = as_user("engineer")
    assert "break_glass" not in engineer.get("/rollouts/new?endpoint=churn-production").content.decode()
    fields = {"strategy": "shadow", "mirror_percent": 50, "analyse_seconds": 60, "interval_seconds": 20}
    assert engineer.post("/rollouts/new", {**START, **fields}).status_code in {409, 422}
    assert engineer.post("/rollouts/new", {**START, **fields, "break_glass": "on"}).status_code == 403
    assert not Rollout.objects.exists()
    response = as_user("release_manager").post("/rollouts/new", {**START, **fields, "break_glass": "on"})
    assert response.status_code == 302
    assert Rollout.objects.get().override


def test_a_policy_is_shown_in_words_and_changed_without_json(as_user, endpoint):
    client = as_user("admin")
    assert client.get("/environments/production/policy").status_code == 200
    barred = {"without": ["warning", "no_baseline"]}
    assert client.post("/environments/production/policy", POLICY | barred).status_code == 302
    assert Environment.objects.get().policy["approvals"] == [
        {"before": "promotion", "count": 2, "group": "release_manager", "seconds": 43200}
    ]
    assert Environment.objects.get().policy["without"] == ["warning", "no_baseline"]
    page = client.get("/environments/").content.decode()
    assert "does not start with these findings: any warning; no reference set" in page
    assert "2 approvals by a release manager before all traffic moves, within 12 h." in page


def test_who_approves_reads_the_policy_and_does_not_change_it(as_user, endpoint):
    services.set_policy(
        environment=endpoint.environment,
        policy={"approvals": [{"before": "promotion", "count": 2}]},
        actor=GRACE,
        reason="two heads",
    )
    client = as_user("release_manager")
    page = client.get("/environments/production/policy").content.decode()
    assert "2 approvals by a release manager before all traffic moves" in page and "<form class" not in page
    assert client.post("/environments/production/policy", POLICY).status_code == 403
    assert Environment.objects.get().policy["approvals"] == [{"before": "promotion", "count": 2}]
    assert "/environments/production/policy" in client.get("/environments/").content.decode()


def test_an_environment_that_asks_for_nothing_still_tells_of_the_four_eyes_of_plans(as_user, endpoint):
    page = as_user("viewer").get("/environments/").content.decode()
    assert "No approval, unless the plan itself asks for one" in page
    assert "nobody approves a rollout of their own" in page
    Environment.objects.update(policy={"four_eyes": False})
    assert "of their own" not in as_user("viewer").get("/environments/").content.decode()


def test_a_policy_that_the_form_cannot_show_is_not_lost(as_user, endpoint):
    twice = [{"before": "start", "count": 1}, {"before": "start", "count": 2}]
    services.set_policy(
        environment=endpoint.environment, policy={"approvals": twice}, actor=GRACE, reason="r"
    )
    response = as_user("admin").get("/environments/production/policy")
    assert response.status_code == 409
    assert b"/api/v1/environments/production/policy" in response.content


@pytest.mark.parametrize("strategy", STARTABLE)
def test_every_strategy_has_its_fields_and_a_preview(as_user, endpoint, strategy):
    client = as_user("engineer")
    page = client.get(f"/rollouts/new?endpoint=churn-production&strategy={strategy}").content.decode()
    assert f'<option value="{strategy}" selected>' in page
    assert "Start 1 server of the candidate" in page


def test_a_plan_is_written_by_hand_in_yaml(as_user, endpoint):
    plan = "steps:\n- {kind: provision}\n- {kind: set_weight, percent: 30}\n- {kind: promote}\n"
    client = as_user("engineer")
    wrong = client.post("/rollouts/new", {**START, "strategy": "custom", "plan": plan.replace("30", "300")})
    assert wrong.status_code == 422
    assert "300 is outside 1 to 100" in wrong.content.decode()
    assert client.post("/rollouts/new", {**START, "strategy": "custom", "plan": plan}).status_code == 302
    assert [step["kind"] for step in Rollout.objects.get().plan["steps"]] == [
        "provision",
        "set_weight",
        "promote",
    ]


def test_what_served_when_stands_on_the_endpoint_s_page(as_user, endpoint):
    page = as_user("viewer").get("/endpoints/churn-production/").content.decode()
    assert "What served when" in page
    assert "the endpoint’s start" in page


@pytest.mark.parametrize("version", ["3", "99999999999999999999", "x", "404"])
def test_a_rollback_to_what_never_served_does_nothing(as_user, endpoint, version):
    url = f"/endpoints/churn-production/rollback?version={version}"
    response = as_user("engineer").post(url, {"reason": "back"})
    assert response.status_code in {400, 404, 409, 422}
    assert not Rollout.objects.exists()


def test_everything_that_ever_served_is_found_page_by_page(as_user, endpoint):
    tenure = endpoint.tenures.get()
    for number in range(1, 121):
        began = tenure.start - timedelta(hours=number)
        Tenure.objects.create(
            endpoint=endpoint, release=tenure.release, start=began, end=began + timedelta(hours=1)
        )
    client, url, seen = as_user("viewer"), "/endpoints/churn-production/history", 0
    for expected in (50, 50, 21):
        page = client.get(url).content.decode()
        assert page.count("<tr>") == expected + 1
        seen += expected
        if seen < 121:
            url = "/endpoints/churn-production/history" + re.search(r'href="(\?before=[^"]+)"', page)[1]
    assert "Earlier" not in page
    assert client.get("/endpoints/churn-production/history?before=yesterday").status_code == 200


def test_a_rollback_that_was_asked_before_a_rollout_began_does_not_abort_that(as_user, endpoint, versions):
    """The question said “v1 → v2”; meanwhile somebody started v3, and the answer must not stop it."""
    client = as_user("engineer")
    started = client.post("/rollouts/new", {**START, "steps": "5", "hold_seconds": "1", "strategy": "canary",
        "analyse_seconds": "5", "interval_seconds": "1"})  # fmt: skip
    assert started.status_code == 302, started.content.decode()
    stale = client.post("/endpoints/churn-production/rollback?active=none", {"reason": "back"})
    assert stale.status_code == 409
    assert "began or ended since you were asked" in stale.content.decode()
    rollout = Rollout.objects.get()
    assert rollout.phase == "pending"
    asked = client.get("/endpoints/churn-production/rollback").content.decode()
    assert f"active={rollout.pk}" in asked
    fresh = client.post(f"/endpoints/churn-production/rollback?active={rollout.pk}", {"reason": "back"})
    assert fresh.status_code == 302


EVERYBODY = {role.value for role in Role}
ROUTES = {
    "/freezes/": EVERYBODY,
    "/freezes/new": {"release_manager", "admin"},
    "/freezes/{freeze}/end": {"release_manager", "admin"},
    "/endpoints/-/new": {"release_manager", "admin"},
    "/environments/": EVERYBODY,
    "/environments/-/new": {"admin"},
    "/environments/production/policy": EVERYBODY,
    "/environments/production/target": {"admin"},
    "/hooks/": EVERYBODY,
}


@pytest.mark.parametrize("url", ROUTES)
@pytest.mark.parametrize("name", [*sorted(EVERYBODY), "outsider"])
def test_each_page_answers_each_role_as_the_table_says(as_user, freeze, name, url):
    status = as_user(name).get(url.format(freeze=freeze.pk)).status_code
    assert status == (200 if name in ROUTES[url] else 403)
