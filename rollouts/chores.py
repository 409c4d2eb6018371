"""Duties beside the ticks and never in their way: drift, concept, retention.

`manage.py tick` runs one `Chores` thread. With a queue, a duty is a message to a worker; without one,
while the queue is away, or while no worker takes anything from it, it is done here.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from monitoring.chores import Duty, claim
from rollouts.tasks import backlog, do_duty, duties
from rollouts.waiting import QUEUE_ERRORS

log = logging.getLogger("rollouts.chores")
POLL_SECONDS = 2.0


class Chores(threading.Thread):
    """Does what is due until `stop` is set; may be killed at any moment."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(name="chores", daemon=True)
        self._ended = stop

    def run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                once()
            except DatabaseError as error:
                log.warning("the database did not answer: %s", error)
                close_old_connections()
        connections.close_all()


def once() -> None:
    """Everything that is due now; one that fails does not keep the others."""
    now = time.time()
    for duty in claim(duties(), now):
        _hand_out(duty)


def _hand_out(duty: Duty) -> None:
    if settings.CELERY_BROKER_URL and not backlog.hangs:
        try:
            do_duty.apply_async((duty.name,), retry=False)
            return
        except QUEUE_ERRORS as error:
            log.warning("the queue did not answer, doing %s here: %s", duty.name, error)
    do_duty(duty.name)
