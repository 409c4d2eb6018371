"""Hooks against a real receiver: signed, asked again, killed in between, and never where they should not go."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from monitoring.adapters import webhook
from monitoring.errors import Unreachable
from registry.errors import Conflict, Invalid
from registry.models import AuditEntry
from rollouts import calls, hooks, outbox, posting, services
from rollouts.errors import InvalidPlan
from rollouts.models import HookCall, Webhook
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

ROOT = Path(__file__).resolve().parents[2]
YES = (200, {}, b'{"allow": true, "reason": "p99 is fine"}')
NO = (200, {}, b'{"allow": false, "reason": "p99 doubled"}')
AWAY = (503, {}, b"")


@pytest.fixture
def receiver(receiver):
    """It says yes until a test tells it otherwise."""
    receiver.answer = lambda request: YES
    return receiver


@pytest.fixture
def gate(receiver, db, author):
    """A hook `gate` at the receiver; its value is the secret."""
    _, secret = hooks.add_webhook(name="gate", url=f"{receiver.url}/gate?token=s3cr3t", actor=author)
    return secret


@pytest.fixture
def driver(endpoint, ports, monkeypatch):
    driver = Driver(endpoint, ports)
    monkeypatch.setattr("rollouts.reconcile.judge", driver.judge)
    return driver


def start(endpoint, versions, author, **hook):
    asked = [{"name": "gate", "on": ["increase", "promotion"], **hook}]
    return services.start_rollout(
        endpoint=endpoint,
        version=versions[1],
        strategy="canary",
        parameters={**FAST, "hooks": asked},
        actor=author,
        reason="better recall",
    )


def answer_calls():
    for call in calls.claim():
        calls.make(call)


def due_now():
    HookCall.objects.filter(ended_at=None).update(due_at=timezone.now())


def walk(driver, rollout, rounds=200):
    """Ticks and calls until the rollout is over."""
    for _ in range(rounds):
        driver.tick()
        due_now()
        answer_calls()
        rollout.refresh_from_db()
        if rollout.finished_at:
            break
    return rollout


def test_a_rollout_is_promoted_after_the_hook_said_yes_each_time(
    gate, receiver, driver, endpoint, versions, author
):
    rollout = walk(driver, start(endpoint, versions, author))
    assert rollout.phase == "succeeded"
    asked = [sent.json["type"] for sent in receiver.received]
    assert asked == ["rollout.increase", "rollout.increase", "rollout.promotion"]
    data = receiver.received[0].json["data"]
    assert data["endpoint"] == "churn-production" and data["environment"] == "production"
    assert data["candidate"] == {"version": "2", "digest": versions[1].digest}
    assert data["next"] == {"kind": "set_weight", "percent": 5}
    assert (data["plan_digest"], data["reason"]) == (rollout.plan_digest, "better recall")


def test_nothing_grows_while_the_hook_is_away_and_it_is_asked_again_with_pauses(
    gate, receiver, driver, endpoint, versions, author
):
    receiver.answer = lambda request: AWAY
    rollout = start(endpoint, versions, author, seconds=3600)
    driver.until("awaiting_approval")
    driver.tick()
    pauses = []
    for _ in range(4):
        due_now()
        answer_calls()
        call = HookCall.objects.get()
        pauses.append(round((call.due_at - timezone.now()).total_seconds()))
        assert calls.claim() == []
    assert pauses == [1, 2, 4, 8]
    assert (call.attempts, call.status, call.allowed) == (4, 503, None)
    assert len({sent.headers["webhook-id"] for sent in receiver.received}) == 1, "one delivery, asked again"
    receiver.answer = lambda request: YES
    assert walk(driver, rollout).phase == "succeeded"


def test_no_answer_until_the_deadline_asks_a_person_and_resuming_asks_the_hook_anew(
    gate, receiver, driver, endpoint, versions, author
):
    receiver.answer = lambda request: AWAY
    rollout = start(endpoint, versions, author, seconds=20)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    paused = driver.until("paused")
    assert "gave no answer within 20 s, a person must decide: It answered 503" in paused.reason
    receiver.answer = lambda request: YES
    services.resume(rollout=rollout, actor=author, reason="the gate is back")
    driver.now = timezone.now()
    assert walk(driver, rollout).phase == "succeeded"
    assert len({sent.headers["webhook-id"] for sent in receiver.received}) == 4


@pytest.mark.parametrize(("refusal", "phase"), [("hold", "paused"), ("roll_back", "cancelled")])
def test_a_refusal_is_the_reason_in_the_timeline(
    gate, receiver, driver, endpoint, versions, author, refusal, phase
):
    receiver.answer = lambda request: NO
    start(endpoint, versions, author, refusal=refusal)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    rollout = driver.until(phase)
    assert rollout.transitions.filter(reason="the hook gate refuses: p99 doubled").exists()


def test_a_caller_that_is_killed_between_answer_and_mark_asks_again(
    gate, receiver, driver, endpoint, versions, author, monkeypatch
):
    start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(calls, "_end", killed)
        answer_calls()
    assert calls.claim() == [], "the lease of the dead caller is not over"
    due_now()
    answer_calls()
    assert HookCall.objects.get().allowed is True
    assert len({sent.headers["webhook-id"] for sent in receiver.received}) == 1
    assert len(receiver.received) == 2


def test_a_question_that_nobody_waits_for_any_more_is_withdrawn(
    gate, receiver, driver, endpoint, versions, author
):
    receiver.answer = lambda request: AWAY
    rollout = start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    services.abort(rollout=rollout, actor=author, reason="complaints")
    due_now()
    answer_calls()
    assert len(receiver.received) == 1
    call = HookCall.objects.get()
    assert call.ended_at and call.allowed is None and call.reason == calls.WITHDRAWN


def test_an_answer_is_kept_once(gate, receiver, driver, endpoint, versions, author):
    start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()
    (call,) = calls.claim()
    calls.make(call)
    receiver.answer = lambda request: NO
    calls.make(call)
    assert HookCall.objects.get().allowed is True


def test_a_rollback_and_the_end_are_told_and_never_waited_for(
    gate, receiver, driver, endpoint, versions, author
):
    receiver.answer = lambda request: AWAY
    rollout = start(endpoint, versions, author, on=["rollback", "end"])
    driver.until("progressing")
    services.abort(rollout=rollout, actor=author, reason="complaints")
    assert driver.until("rolled_back", most=5), "no answer was needed"
    while outbox.fan_out():
        pass
    answer_calls()
    assert [sent.json["type"] for sent in receiver.received] == ["rollout.rollback"], (
        "the end waits for its turn"
    )
    assert receiver.received[0].json["data"]["reason"] == "complaints"
    receiver.answer = lambda request: (204, {}, b"")
    for _ in range(2):
        due_now()
        posting.once()
    assert [sent.json["type"] for sent in receiver.received][1:] == ["rollout.rollback", "rollout.end"]
    assert not HookCall.objects.filter(ended_at=None).exists()


def test_a_receiver_verifies_a_call_as_the_page_says(gate, receiver, driver, endpoint, versions, author):
    """Runs the example of docs/hooks.md on what was really sent."""
    text = (ROOT / "docs" / "hooks.md").read_text()
    example = next(
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def verified" in block
    )
    names: dict = {}
    exec(example, names)
    start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    sent = receiver.received[0]
    assert names["verified"](gate, sent.headers, sent.body)
    assert not names["verified"](gate, sent.headers, sent.body + b" ")
    assert not names["verified"](gate, {**sent.headers, "webhook-id": "another"}, sent.body)
    old = str(int((datetime.now(UTC) - timedelta(minutes=6)).timestamp()))
    assert not names["verified"](gate, {**sent.headers, "webhook-timestamp": old}, sent.body), "a replay"


def test_neither_address_nor_secret_is_stored_or_told_in_the_clear(gate, driver, endpoint, versions, author):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM rollouts_webhook")
        stored = str(cursor.fetchall())
    trail = str([(entry.before, entry.after, entry.reason) for entry in AuditEntry.objects.all()])
    shown = f"{vars(Webhook.objects.get())}"
    for secret in (gate, gate.removeprefix("whsec_"), "s3cr3t"):
        assert secret not in stored + trail + shown


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/", "http://localhost:{port}/", "http://[::1]:{port}/"]
)
def test_a_hook_never_calls_an_inner_address(receiver, settings, target):
    settings.SLIPWAY_OUTBOUND_ALLOW = []
    with pytest.raises(Unreachable, match="refused"):
        webhook.post(target.format(port=receiver.port), {}, b"{}")
    assert receiver.received == []


def test_a_redirect_is_an_answer_and_is_not_followed(receiver):
    receiver.answer = lambda request: (302, {"location": "http://169.254.169.254/"}, b"")
    assert webhook.post(receiver.url, {}, b"{}").status == 302
    assert len(receiver.received) == 1


def test_an_endless_answer_is_cut_off(receiver):
    receiver.answer = lambda request: (200, {}, b"x" * (webhook.LIMIT + 1))
    with pytest.raises(Unreachable):
        webhook.post(receiver.url, {}, b"{}")


def test_a_receiver_that_asks_for_patience_is_given_it(gate, receiver, driver, endpoint, versions, author):
    receiver.answer = lambda request: (202, {"retry-after": "30"}, b'{"reason": "the load test runs"}')
    start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    call = HookCall.objects.get()
    assert (call.reason, call.allowed) == ("the load test runs", None)
    assert 28 < (call.due_at - timezone.now()).total_seconds() <= 30


def test_an_unknown_hook_is_refused_before_anything_starts(endpoint, versions, author):
    with pytest.raises(InvalidPlan) as refused:
        start(endpoint, versions, author)
    assert refused.value.field == "parameters.hooks[0].name"


def test_a_hook_of_the_environment_is_asked_of_every_rollout(
    gate, receiver, driver, endpoint, versions, author
):
    policy = {"hooks": [{"name": "gate", "on": ["start"]}]}
    services.set_policy(environment=endpoint.environment, policy=policy, actor=author, reason="audit")
    endpoint.environment.refresh_from_db()
    rollout = services.start_rollout(
        endpoint=endpoint,
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="better",
    )
    driver.tick(3)
    rollout.refresh_from_db()
    assert (rollout.phase, rollout.step) == ("awaiting_approval", 0)
    assert HookCall.objects.count() == 1, "asked once"
    assert driver.ports.cluster.observe(endpoint.name).get("2") is None, (
        "no server was started before the yes"
    )
    answer_calls()
    driver.tick(2)
    rollout.refresh_from_db()
    assert rollout.step > 0


def test_a_hook_that_is_switched_off_gives_no_answer(gate, receiver, driver, endpoint, versions, author):
    start(endpoint, versions, author)
    hooks.switch(name="gate", active=False, actor=author)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    assert receiver.received == []
    assert HookCall.objects.get().reason == "It is switched off."


def test_a_new_secret_signs_from_then_on(gate, receiver, author):
    assert hooks.ping(name="gate") == ""
    again = hooks.new_secret_of(name="gate", actor=author)
    assert again != gate
    assert hooks.ping(name="gate") == ""
    first, second = receiver.received
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert json.loads(second.body)["type"] == "ping"


@pytest.mark.parametrize(
    ("field", "values"),
    [("name", {"name": "A B"}), ("url", {"url": "ftp://x"}), ("url", {"url": "http://a:x"})],
)
def test_a_bad_field_of_a_hook_is_named(db, author, field, values):
    with pytest.raises(Invalid) as refused:
        hooks.add_webhook(**{"name": "gate", "url": "https://example.org", **values}, actor=author)
    assert refused.value.field == field


def test_a_name_is_taken_once(gate, author):
    with pytest.raises(Conflict):
        hooks.add_webhook(name="gate", url="https://example.org", actor=author)


def test_the_page_and_the_api_show_what_was_asked_and_answered(
    gate, driver, endpoint, versions, author, client, people
):
    rollout = start(endpoint, versions, author)
    driver.until("awaiting_approval")
    driver.tick()
    answer_calls()
    client.force_login(people["viewer"])
    page = client.get(f"/rollouts/{rollout.pk}/").content.decode()
    assert "p99 is fine" in page.lower() and "before the increase" in page and "Allowed" in page
    (call,) = client.get(f"/api/v1/rollouts/{rollout.pk}/hooks").json()["items"]
    assert (call["hook"], call["allowed"], call["reason"]) == ("gate", True, "p99 is fine")
    listed = client.get("/api/v1/hooks").content.decode()
    assert "127.0.0.1" in listed and "s3cr3t" not in listed


def test_the_secret_is_shown_once_over_rest(db, people, client, settings):
    client.force_login(people["release_manager"])
    made = client.post(
        "/api/v1/hooks",
        {"name": "gate", "url": "https://ci.example.org/gate"},
        content_type="application/json",
    )
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    assert "secret" not in client.get("/api/v1/hooks").json()["items"][0]
