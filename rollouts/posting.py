"""Everything that leaves the house, beside the ticks and never in their way.

`manage.py tick` runs one `Post`: it hands moves over to the targets of notices and sends what waits, each
target in a thread of its own, so that one that hangs holds up nothing else. With SLIPWAY_NOTICES_QUEUE set,
Celery workers on that queue do the sending, unless it is away or nobody takes anything from it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import connections
from django.utils import timezone

from monitoring import courier, wiring
from monitoring.adapters.queue import QUEUE_ERRORS
from monitoring.models import NoticeTarget
from monitoring.tasks import deliver
from rollouts import calls, outbox
from rollouts.polling import Poll, Troubles
from rollouts.waiting import STUCK_SECONDS, Backlog, messages_in

log = logging.getLogger("rollouts.post")
POLL_SECONDS = 0.3
# So many targets of notices are served, and so many hooks called, at once.
SENDERS, CALLERS = 6, 12
HOUSEKEEPING_SECONDS = 3600.0
# How often the queue is looked at, if there is one.
QUEUE_SECONDS = 2.0


class Post(Poll):
    """Sends until `stop` is set."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__("post", POLL_SECONDS, self._round, stop)
        self._queue = Troubles(log)
        self._senders: list[threading.Thread] = []
        self._callers: list[threading.Thread] = []
        self._cleaned = time.monotonic()
        self._backlog, self._looked = Backlog(), 0.0

    def _round(self) -> bool:
        """Hands over and claims what is due; whether there is more to do at once."""
        moved = outbox.fan_out()
        self._senders, self._callers = _alive(self._senders), _alive(self._callers)
        self._look_at_queue()
        for call in calls.claim(limit=CALLERS - len(self._callers)):
            self._callers.append(self._start(partial(calls.make, call)))
        for target in courier.claim(limit=SENDERS - len(self._senders)):
            self._dispatch(target)
        if time.monotonic() - self._cleaned > HOUSEKEEPING_SECONDS:
            self._cleaned = time.monotonic()
            courier.forget_old(timezone.now())
        return moved == outbox.LIMIT

    def _look_at_queue(self) -> None:
        """Notes whether workers take notices; a queue that does not answer is found out when it is used."""
        now, queue = time.monotonic(), settings.SLIPWAY_NOTICES_QUEUE
        if not (settings.CELERY_BROKER_URL and queue) or now - self._looked < QUEUE_SECONDS:
            return
        self._looked = now
        try:
            with current_app.producer_or_acquire() as producer:
                hangs = self._backlog.stuck(messages_in(producer.channel, queue))
        except QUEUE_ERRORS:
            return
        if hangs:
            self._queue.tell(
                f"nobody took a notice from the queue for {STUCK_SECONDS:g} s: sending them here"
            )

    def _dispatch(self, target: NoticeTarget) -> None:
        queue = settings.SLIPWAY_NOTICES_QUEUE
        if settings.CELERY_BROKER_URL and queue and not self._backlog.hangs:
            try:
                deliver.apply_async((target.pk,), queue=queue, retry=False)
                self._queue.tell("")
                return
            except QUEUE_ERRORS as error:
                self._queue.tell(f"the queue did not answer, sending notices here: {error}")
        self._senders.append(self._start(partial(_serve, target)))

    def _start(self, work: Callable[[], object]) -> threading.Thread:
        """The work in a thread of its own, with database connections of its own."""

        def send() -> None:
            try:
                self.safely(work)
            finally:
                connections.close_all()

        sender = threading.Thread(target=send, name="sender", daemon=True)
        sender.start()
        return sender


def once() -> None:
    """Hands over and sends what is due now, in this thread."""
    while outbox.fan_out():
        pass
    for call in calls.claim():
        calls.make(call)
    for target in courier.claim():
        _serve(target)


def _alive(threads: list[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threads if thread.is_alive()]


def _serve(target: NoticeTarget) -> int:
    return courier.serve(target, wiring.notifier())
