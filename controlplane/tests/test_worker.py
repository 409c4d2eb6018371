"""What keeps a worker alive when its queue is not, and what ends one that is no use any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.exceptions import ConnectionError as GoneError

from controlplane.celery import app
from controlplane.worker import LOOK_SECONDS, VIGIL_SECONDS, SteadyConsumer, SteadyQoS, Vigil


class GoneChannel:
    """A channel whose Redis does not answer."""

    do_restore = True
    unacked_index_key = unacked_key = "unacked"

    @contextmanager
    def conn_or_acquire(self, client=None):
        raise GoneError("connection refused")
        yield


@pytest.fixture
def qos() -> Iterator[SteadyQoS]:
    """Two messages may be taken at once, and two were."""
    qos = SteadyQoS(GoneChannel(), prefetch_count=2)
    for tag in ("one", "two"):
        qos._quick_append(tag, object())
    assert not qos.can_consume()
    yield qos
    # Nothing is to be given back at the end of the tests.
    qos._on_collect.cancel()


@pytest.mark.parametrize("verb", ["ack", "reject"])
def test_an_acknowledgement_that_cannot_be_sent_takes_no_place_for_ever(qos, verb):
    with pytest.raises(GoneError):
        getattr(qos, verb)("one")
    assert qos.can_consume()


def test_a_lost_connection_can_be_closed_while_messages_are_under_way(qos):
    qos.restore_unacked_once()


def test_the_product_s_workers_are_made_so():
    assert app.conf.worker_consumer == "controlplane.worker:SteadyConsumer"
    assert SteadyConsumer.__name__ == "SteadyConsumer"
    assert not app.conf.worker_enable_remote_control, "who can write to the queue could steer workers"


class Watched:
    """A worker with a clock: how many messages wait, how many were taken, whether it works."""

    def __init__(self, waiting=5, taken=0, busy=False):
        self.now, self.waiting, self.taken, self.busy, self.ended = 0.0, waiting, taken, busy, False
        self.vigil = Vigil(
            self.count,
            taken=lambda: self.taken,
            busy=lambda: self.busy,
            end=lambda: setattr(self, "ended", True),
            clock=lambda: self.now,
        )

    def count(self) -> int:
        if self.waiting is None:
            raise GoneError("connection refused")
        return self.waiting

    def live(self, seconds: float, each=lambda: None) -> bool:
        until = self.now + seconds
        while self.now < until and not self.ended:
            self.now += LOOK_SECONDS
            each()
            self.vigil.look()
        return not self.ended


def test_a_worker_that_takes_nothing_while_messages_wait_ends():
    watched = Watched()
    assert watched.live(VIGIL_SECONDS)
    assert not watched.live(2 * LOOK_SECONDS)


@pytest.mark.parametrize(
    "watched",
    [Watched(waiting=0), Watched(waiting=None), Watched(busy=True)],
    ids=["nothing waits", "the queue is away", "it works"],
)
def test_a_worker_with_a_reason_to_take_nothing_lives(watched):
    assert watched.live(10 * VIGIL_SECONDS)


def test_a_worker_that_takes_something_now_and_then_lives():
    watched = Watched()

    def takes() -> None:
        if watched.now % 50 == 0:
            watched.taken += 1

    assert watched.live(10 * VIGIL_SECONDS, takes)


def test_the_time_of_an_outage_does_not_count():
    """Celery waits up to 30 s before it connects again; that is no reason to end."""
    watched = Watched(waiting=None)
    assert watched.live(10 * VIGIL_SECONDS)
    watched.waiting = 5
    assert watched.live(VIGIL_SECONDS - LOOK_SECONDS)
