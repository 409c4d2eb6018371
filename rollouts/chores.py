"""Duties beside the ticks and never in their way: drift, concept, retention.

`manage.py tick` asks for what is due in a thread. With a queue, a duty is a message to a worker; without one,
while the queue is away, or while no worker takes anything from it, it is done here.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings

from monitoring.adapters.queue import QUEUE_ERRORS
from monitoring.chores import Duty, claim
from rollouts.tasks import backlog, do_duty, duties

log = logging.getLogger("rollouts.chores")
POLL_SECONDS = 2.0


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
