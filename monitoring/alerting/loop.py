"""Evaluating alerts again and again, in a process or a thread of its own."""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from monitoring.alerting import evaluate
from monitoring.ports import MetricsSource

logger = logging.getLogger(__name__)
# How often rules that are due are looked for: one indexed query.
POLL_SECONDS = 5.0
SWEEP_ROUNDS = 720


def run(source: MetricsSource, stop: threading.Event, *, once: bool = False) -> None:
    """Until `stop` is set; a database that is away costs time, nothing else."""
    rounds = 0
    while not stop.is_set():
        try:
            close_old_connections()
            evaluate.evaluate_due(source, timezone.now())
            if rounds % SWEEP_ROUNDS == 0:
                evaluate.forget_old(timezone.now())
        except DatabaseError as error:
            logger.error("Alerts were not evaluated, the database refused: %s.", error)
        rounds += 1
        if once:
            return
        stop.wait(POLL_SECONDS)
    close_old_connections()
