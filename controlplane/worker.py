"""What a Celery worker of Slipway does differently: it outlives its queue, and ends when it cannot.

kombu 5.7 loses the worker in two ways when Redis goes away under tasks. An acknowledgement that cannot be
sent keeps its place among the messages that may be taken at once: when none is left, the worker waits for
ever. And closing the lost connection gives back what was taken, over that connection, which brings the
worker down or leaves it hanging. Neither is needed: a message only says "look now", and Redis delivers it
again after the visibility time-out.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from celery import Celery
from celery.signals import worker_ready
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.transport import redis

from rollouts.waiting import messages_in

log = logging.getLogger(__name__)
# Longer than Celery waits between two attempts to reconnect (30 s).
VIGIL_SECONDS = 60.0
LOOK_SECONDS = 5.0
EX_TEMPFAIL = 75


class SteadyQoS(redis.QoS):
    """What was taken and not acknowledged; a queue that is gone cannot keep it from being forgotten."""

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        finally:
            self._quick_ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except Exception as error:
            log.warning("messages could not be given back; they are delivered again later: %s", error)


class SteadyConsumer(Consumer):  # type: ignore[misc]
    """Keeps to itself: what workers tell each other is one more thing that breaks with the queue."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        redis.Channel.QoS = SteadyQoS
        quiet = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}
        super().__init__(*arguments, **{**options, **quiet})


class Vigil(threading.Thread):
    """Ends the worker when messages wait and it takes none, so that its supervisor starts another one.

    waiting: how many messages wait in the worker's queues; raises whatever it likes while they cannot be
    counted. taken: how many tasks it has begun. busy: whether it works on some. end: ends the process.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        *,
        taken: Callable[[], int] = lambda: int(state.all_total_count[0]),
        busy: Callable[[], bool] = lambda: bool(state.reserved_requests),
        end: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="vigil", daemon=True)
        self._waiting, self._taken, self._busy, self._clock = waiting, taken, busy, clock
        self._finish = end or end_worker
        self._before, self._since = -1, clock()

    def run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Once; ends the process if nothing was taken for VIGIL_SECONDS of reachable, filled queues."""
        taken, now = self._taken(), self._clock()
        if taken != self._before or self._busy() or not self._messages_wait():
            self._before, self._since = taken, now
        elif now - self._since >= VIGIL_SECONDS:
            log.critical("messages wait and this worker takes none for %g s: it ends", VIGIL_SECONDS)
            self._finish()

    def _messages_wait(self) -> bool:
        try:
            return self._waiting() > 0
        except Exception as error:
            log.debug("the queue did not answer: %s", error)
            return False


def end_worker() -> None:
    """This process and its pool end at once; what they worked on is delivered again."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(EX_TEMPFAIL)


def waiting_in(app: Celery) -> int:
    """How many messages wait in the queues of this worker, asked over a connection of its own."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        return sum(messages_in(channel, name) for name in app.amqp.queues.consume_from)


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def keep_vigil(sender: Any, **_: Any) -> None:
    """Starts the vigil beside the event loop of a worker."""
    Vigil(lambda: waiting_in(sender.app)).start()
