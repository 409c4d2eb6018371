"""Everything that waits for a moment, after the clock that wrote the moment was set back by an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import chores, courier
from monitoring.alerting import evaluate
from monitoring.chores import Duty
from monitoring.models import AlertRule, Notice, NoticeTarget
from rollouts import calls, hooks, services
from rollouts.models import HookCall, Webhook
from rollouts.tests.cast import FAST

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
SOON = timedelta(seconds=30)


def test_a_target_of_notices_waits_its_time_and_no_hour():
    target = NoticeTarget.objects.create(name="chat", url="json://chat.test", due_at=timezone.now() + SOON)
    Notice.objects.create(target=target, kind="rollout", title="x", text="x", stream="7")
    assert courier.claim() == []
    NoticeTarget.objects.update(due_at=timezone.now() + HOUR)
    assert courier.claim() == [target]


def test_a_call_to_a_hook_waits_its_time_and_no_hour(endpoint, versions, author):
    hooks.add_webhook(name="gate", url="https://ci.example.org/gate", actor=author)
    rollout = services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters=FAST, actor=author, reason="x"
    )
    now = timezone.now()
    call = HookCall.objects.create(
        rollout=rollout, webhook=Webhook.objects.get(), moment="start", step=0, asked_at=now,
        deadline=now + HOUR, due_at=now + SOON,
    )  # fmt: skip
    assert calls.claim() == []
    HookCall.objects.update(due_at=now + HOUR)
    assert calls.claim() == [call]


def test_a_duty_waits_its_time_and_no_hour():
    duty = {"sweep": Duty("sweep", 60.0, lambda now: None)}
    assert [d.name for d in chores.claim(duty, 10_000.0)] == ["sweep"]
    assert list(chores.claim(duty, 10_030.0)) == []
    assert [d.name for d in chores.claim(duty, 10_000.0 - 3600)] == ["sweep"]
    assert list(chores.claim(duty, 10_030.0 - 3600)) == []


def test_an_alert_rule_waits_its_time_and_no_hour():
    now = timezone.now()
    AlertRule.objects.all().delete()
    row = AlertRule.objects.create(name="errors", document={}, due_at=now + SOON)
    assert evaluate._claim(now) == []
    AlertRule.objects.update(due_at=now + HOUR)
    assert evaluate._claim(now) == [row]
