"""Giving notices to targets, and the courier that sends them: once at least, in order, and nobody waits."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from monitoring import courier, notices
from monitoring.adapters.apprise_notifier import AppriseNotifier
from monitoring.domain.notices import Severity
from monitoring.errors import NotSent
from monitoring.models import Notice, NoticeTarget
from registry.domain.actor import Actor
from registry.errors import Conflict, Invalid
from registry.models import AuditEntry
from registry.models.sealed import Sealed
from tests.receiver import Receiver

MARY = Actor(kind="user", name="mary")
SECRET = "TIiajkdnlazkcOXrIdevi7FQ"
URL = f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}/#general"

pytestmark = pytest.mark.django_db


class Chats:
    """A Notifier that keeps what it sent, and fails where it is told to."""

    def __init__(self, fails=lambda url, message: False):
        self.sent, self.fails = [], fails

    def describe(self, url):
        return "a chat"

    def send(self, url, message):
        if self.fails(url, message):
            raise NotSent("away")
        self.sent.append((url, message.title))


def add(name="chat", url=URL, **wish):
    return notices.add_target(name=name, url=url, notifier=Chats(), actor=MARY, **wish)


def tell(title, **more):
    return notices.notify(kind="rollout.paused", title=title, **more)


def work(chats):
    return sum(courier.serve(target, chats) for target in courier.claim())


def test_a_target_is_told_what_it_wants_and_nothing_else():
    add("all"), add("bad", least="critical"), add("stage", environments=["staging"])
    assert tell("one", environment="production", severity=Severity.WARNING) == 1
    chats = Chats()
    work(chats)
    assert chats.sent == [(URL, "one")]


def test_the_same_key_is_told_once():
    add()
    for _ in range(3):
        tell("one", key="transitions/9")
    assert Notice.objects.count() == 1


def test_a_url_is_not_in_the_database_the_audit_trail_or_any_text():
    target = add()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM monitoring_noticetarget")
        assert SECRET not in str(cursor.fetchall())
    assert SECRET not in str([(e.before, e.after, e.target, e.reason) for e in AuditEntry.objects.all()])
    stored = NoticeTarget.objects.get(pk=target.pk)
    assert SECRET not in f"{stored} {stored.url} {stored.url!r} {vars(stored)}"
    assert stored.url.open() == URL


def test_a_secret_survives_a_change_of_the_key_while_the_old_one_is_a_fallback(settings):
    add()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert NoticeTarget.objects.get().url.open() == URL


def test_a_target_whose_key_is_lost_is_shown_as_failing_and_the_others_go_on(settings):
    add("old")
    settings.SECRET_KEY = "another"
    add("young")
    tell("one")
    chats = Chats()
    work(chats)
    assert chats.sent == [(URL, "one")]
    assert "SLIPWAY_SECRET_KEY has changed" in NoticeTarget.objects.get(name="old").last_error


def test_notices_of_one_stream_arrive_in_their_order_also_after_failures():
    add()
    for number in range(6):
        tell(f"{number}", stream=f"rollouts/{number % 2}")
    down = {"1"}
    chats = Chats(lambda url, message: message.title in down)
    work(chats)
    assert [title for _, title in chats.sent] == ["0", "2", "4"]
    down.clear()
    NoticeTarget.objects.update(due_at=timezone.now())
    work(chats)
    assert [title for _, title in chats.sent] == ["0", "2", "4", "1", "3", "5"]


def test_a_dead_target_waits_longer_each_time_and_loses_nothing():
    add()
    tell("one")
    dead = Chats(lambda url, message: True)
    pauses = []
    for _ in range(4):
        NoticeTarget.objects.update(due_at=timezone.now())
        work(dead)
        target = NoticeTarget.objects.get()
        pauses.append(round((target.due_at - timezone.now()).total_seconds()))
        assert courier.claim() == []
    assert pauses == [2, 4, 8, 16]
    assert (target.failures, target.last_error) == (4, "away")
    NoticeTarget.objects.update(due_at=timezone.now())
    alive = Chats()
    work(alive)
    assert alive.sent == [(URL, "one")]
    assert NoticeTarget.objects.get().failures == 0


def test_a_dead_target_holds_up_no_other():
    add("dead", url=URL + "-dead"), add("alive")
    for number in range(5):
        tell(str(number), stream=str(number))
    chats = Chats(lambda url, message: url.endswith("-dead"))
    work(chats)
    assert [title for _, title in chats.sent] == ["0", "1", "2", "3", "4"]
    attempts = sum(Notice.objects.filter(target__name="dead").values_list("attempts", flat=True))
    assert attempts == courier.STREAMS_LOST, "two streams failed, so the rest was not tried"


def test_a_courier_that_is_killed_between_send_and_mark_sends_it_again(monkeypatch):
    add()
    tell("one"), tell("two")
    chats = Chats()

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(courier, "_remember", killed)
        work(chats)
    assert courier.claim() == [], "the lease of the dead courier is not over"
    NoticeTarget.objects.update(due_at=timezone.now())
    work(chats)
    assert [title for _, title in chats.sent] == ["one", "one", "two"]


def test_a_courier_that_lost_its_lease_stops_and_leaves_the_rest_to_its_successor():
    add()
    tell("one"), tell("two"), tell("three")
    (slow,) = courier.claim()
    later = Chats()

    class Slow(Chats):
        def send(self, url, message):
            super().send(url, message)
            NoticeTarget.objects.update(due_at=timezone.now() - timedelta(seconds=1))
            work(later)

    chats = Slow()
    assert courier.serve(slow, chats) == 1
    assert [title for _, title in chats.sent] == ["one"]
    assert [title for _, title in later.sent] == ["one", "two", "three"]


def test_what_could_not_be_sent_for_days_is_given_up_and_shown():
    add()
    tell("old"), tell("young")
    Notice.objects.filter(title="old").update(created_at=timezone.now() - courier.GIVE_UP - timedelta(1))
    work(Chats(lambda url, message: True))
    assert notices.targets().get().lost == 1
    assert notices.targets().get().waiting == 1
    assert "given up" in Notice.objects.get(title="old").ended


def test_switching_off_drops_what_waits_and_later_notices():
    add()
    tell("one")
    notices.switch(name="chat", active=False, actor=MARY)
    tell("two")
    notices.switch(name="chat", active=True, actor=MARY)
    tell("three")
    chats = Chats()
    work(chats)
    assert [title for _, title in chats.sent] == ["three"]
    with pytest.raises(Conflict):
        notices.switch(name="chat", active=True, actor=MARY)


def test_a_test_notice_says_why_it_did_not_arrive():
    add()
    assert notices.send_test(name="chat", notifier=Chats(), actor=MARY) == ""
    assert notices.send_test(name="chat", notifier=Chats(lambda *_: True), actor=MARY) == "away"
    assert NoticeTarget.objects.get().last_error == "away"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "No Spaces"}),
        ("url", {"url": ""}),
        ("kinds[0]", {"kinds": ["What?"]}),
        ("least", {"least": "loud"}),
    ],
)
def test_a_bad_field_of_a_target_is_named(field, values):
    with pytest.raises(Invalid) as refused:
        add(**{"name": "chat", "url": URL, **values})
    assert refused.value.field == field
    assert not NoticeTarget.objects.exists()


def test_a_notice_reaches_a_real_receiver_with_a_link(settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.1"]
    settings.SLIPWAY_PUBLIC_URL = "https://slipway.example"
    with Receiver() as receiver:
        add(url=f"json://127.0.0.1:{receiver.port}/")
        tell("Paused", text="A person must decide.", path="/rollouts/7/")
        assert work(AppriseNotifier()) == 1
    assert receiver.received[0].json["message"].endswith("https://slipway.example/rollouts/7/")


def test_old_notices_are_forgotten_but_not_those_that_wait():
    add()
    tell("sent"), tell("waits")
    Notice.objects.filter(title="sent").update(sent_at=timezone.now())
    Notice.objects.update(created_at=timezone.now() - notices.KEPT - timedelta(1))
    assert courier.forget_old(timezone.now()) == 1
    assert Notice.objects.get().title == "waits"


def test_a_sealed_text_shows_nothing():
    assert repr(Sealed.of("hunter2")) == "(secret)"
    assert Sealed.of("hunter2").open() == "hunter2"
