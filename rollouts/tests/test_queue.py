"""Whether workers take what waits for them, and who does their work when they do not."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from monitoring.chores import Duty
from rollouts import chores, posting, tasks
from rollouts.waiting import STUCK_SECONDS, Backlog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def after(clock: Clock, backlog: Backlog, *counts: int, seconds: float = STUCK_SECONDS / 4) -> bool:
    """What it says of the last of these counts, each so many seconds after the one before."""
    for count in counts:
        clock.now += seconds
        found = backlog.stuck(count)
    return found


def test_messages_that_nobody_takes_are_stuck(clock):
    backlog = Backlog(clock)
    assert not after(clock, backlog, 3, 5, 9)
    assert after(clock, backlog, 9, 9)
    assert backlog.hangs


def test_one_that_was_taken_is_a_sign_of_life(clock):
    backlog = Backlog(clock)
    assert not after(clock, backlog, 9, 9, 9, 8, 9, 9, 9)


def test_an_empty_queue_is_never_stuck(clock):
    backlog = Backlog(clock)
    assert not after(clock, backlog, *[0] * 100)
    assert not after(clock, backlog, 4), "what came a moment ago waits for nobody yet"


def test_a_queue_that_is_drained_again_is_a_queue_again(clock):
    backlog = Backlog(clock)
    assert after(clock, backlog, *[7] * 8)
    assert not after(clock, backlog, 2)
    assert not backlog.hangs


@pytest.fixture
def queue(settings, monkeypatch):
    """A queue that takes messages, and what it took."""
    settings.CELERY_BROKER_URL = "redis://queue.test:6379/0"
    settings.SLIPWAY_NOTICES_QUEUE = "notices"
    taken = []
    monkeypatch.setattr(tasks.do_duty, "apply_async", lambda args, **_: taken.append(args))
    monkeypatch.setattr(posting.deliver, "apply_async", lambda args, **_: taken.append(args))
    monkeypatch.setattr(tasks, "backlog", Backlog())
    monkeypatch.setattr(chores, "backlog", tasks.backlog)
    return taken


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """The duties that were done in this process."""
    done = []
    duty = Duty("sweep", 60.0, lambda now: done.append("sweep"))
    monkeypatch.setattr(tasks, "duties", lambda: {"sweep": duty})
    return done


SWEEP = Duty("sweep", 60.0, lambda now: None)


def test_a_duty_goes_to_the_workers_while_they_work(queue, done):
    chores._hand_out(SWEEP)
    assert queue == [("sweep",)]
    assert done == []


def test_a_duty_is_done_here_while_workers_hang(queue, done):
    tasks.backlog.hangs = True
    chores._hand_out(SWEEP)
    assert queue == []
    assert done == ["sweep"]


class Target:
    pk = 7


@pytest.fixture
def post(monkeypatch):
    """The post of a dispatcher, and the targets that it served itself."""
    post, served = posting.Post(stop=None), []
    monkeypatch.setattr(post, "_start", lambda work: served.append(work.args[0].pk))
    return post, served


def test_a_notice_goes_to_the_workers_while_they_work(queue, post):
    post[0]._dispatch(Target())
    assert queue == [(7,)]
    assert post[1] == []


def test_a_notice_is_sent_here_while_nobody_takes_notices(queue, post):
    post[0]._backlog.hangs = True
    post[0]._dispatch(Target())
    assert queue == []
    assert post[1] == [7]


def test_a_notice_is_sent_here_while_the_queue_is_away(queue, post, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(posting.deliver, "apply_async", refuse)
    post[0]._dispatch(Target())
    assert post[1] == [7]
