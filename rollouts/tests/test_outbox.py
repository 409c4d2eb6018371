"""From moves to notices: once each, in order, and whatever dies on the way."""

import threading

import pytest
from django.utils import timezone

from monitoring import courier, notices
from monitoring.domain.notices import Severity
from monitoring.models import Notice, NoticeTarget
from rollouts import outbox, posting, reconcile, services
from rollouts.models import Transition
from rollouts.tests.cast import FAST
from tests.receiver import Receiver
from tests.servers.waiting import eventually


class Named:
    """Says of every URL that it can be sent to."""

    def describe(self, url):
        return "a chat"


@pytest.fixture
def target(db, author):
    return notices.add_target(name="chat", url="json://example.com/", notifier=Named(), actor=author)


@pytest.fixture
def rollout(endpoint, versions, author):
    return services.start_rollout(
        endpoint=endpoint,
        version=versions[1],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="better",
    )


def test_every_move_becomes_one_notice_in_its_order(target, rollout, endpoint, ports, author):
    for _ in range(4):
        reconcile.tick(endpoint.pk, ports)
    services.abort(rollout=rollout, actor=author, reason="complaints")
    reconcile.tick(endpoint.pk, ports)
    outbox.fan_out(), outbox.fan_out()
    moves = list(Transition.objects.order_by("id"))
    assert [notice.key for notice in notices.waiting(target)] == [f"transitions/{move.pk}" for move in moves]
    assert len(moves) > 4 and not Transition.objects.filter(notified_at=None).exists()
    first = notices.waiting(target)[0]
    assert (first.kind, first.path, first.environment) == (
        "rollout.started",
        f"/rollouts/{rollout.pk}/",
        "production",
    )
    assert "complaints." in "".join(notices.waiting(target).values_list("text", flat=True))


def test_without_targets_moves_are_marked_and_a_later_target_is_not_flooded(rollout, author):
    assert outbox.fan_out() == 1
    notices.add_target(name="chat", url="json://example.com/", notifier=Named(), actor=author)
    assert outbox.fan_out() == 0
    assert not Notice.objects.exists()


def test_a_death_while_handing_over_loses_and_doubles_nothing(target, rollout, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(outbox, "_mark", killed)
        outbox.fan_out()
    assert not Notice.objects.exists(), "the notices and the mark commit together"
    outbox.fan_out()
    assert Notice.objects.count() == 1


def test_broken_glass_is_told_as_critical_at_the_start_and_later(target, rollout, endpoint, versions, author):
    services.abort(rollout=rollout, actor=author, reason="wrong one")
    services.start_rollout(
        endpoint=endpoint,
        version=versions[2],
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="fraud",
        break_glass=True,
        supersede=True,
    )
    outbox.fan_out()
    alarms = Notice.objects.filter(severity=Severity.CRITICAL)
    assert [notice.kind for notice in alarms] == ["rollout.override"]
    assert alarms[0].text.startswith("The glass was broken: fraud.")


def test_an_approval_that_is_asked_for_is_told_with_a_link(
    target, endpoint, versions, author, ports, settings
):
    settings.SLIPWAY_PUBLIC_URL = "https://slipway.example"
    policy = {"approvals": [{"before": "start"}]}
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
    reconcile.tick(endpoint.pk, ports)
    outbox.fan_out()
    asked = Notice.objects.get(kind="rollout.approval")
    assert notices.message_of(asked).link == f"https://slipway.example/rollouts/{rollout.pk}/"
    assert asked.severity == Severity.WARNING


def test_one_tick_by_hand_also_sends(rollout, author, settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.1"]
    with Receiver() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        notices.add_target(name="chat", url=url, notifier=Named(), actor=author)
        posting.once()
    assert [sent.json["title"] for sent in receiver.received] == [
        "churn-production: the rollout of v2 started"
    ]


@pytest.mark.django_db(transaction=True)
def test_a_chat_that_hangs_delays_no_other_chat(rollout, author, settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.1"]
    hang, stop = threading.Event(), threading.Event()

    def answer(request):
        hang.wait(20)
        return 200, {}, b""

    with Receiver(answer) as dead, Receiver() as alive:
        for name, receiver in (("a-dead", dead), ("alive", alive)):
            url = f"json://127.0.0.1:{receiver.port}/"
            notices.add_target(name=name, url=url, notifier=Named(), actor=author)
        post = posting.Post(stop)
        post.start()
        eventually(lambda: bool(alive.received and dead.received), 15, lambda: "nothing was sent")
        services.abort(rollout=rollout, actor=author, reason="complaints")
        eventually(lambda: len(alive.received) == 2, 15, lambda: f"{alive.received}")
        assert len(dead.received) == 1, "it still hangs"
        hang.set()
        stop.set()
        post.join(10)
        for sender in post._senders:
            sender.join(10)


def test_a_killed_couriers_target_is_served_by_the_next_one(target, rollout, settings):
    outbox.fan_out()
    assert [claimed.name for claimed in courier.claim()] == ["chat"]
    assert courier.claim() == []
    NoticeTarget.objects.update(due_at=timezone.now())
    assert [claimed.name for claimed in courier.claim()] == ["chat"]
