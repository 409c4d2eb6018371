"""Evaluating alerts again and again, in a process or in a thread beside other work."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from monitoring.alerting import evaluate
from monitoring.ports import MetricsSource

logger = logging.getLogger(__name__)
# How often rules that are due are looked for: one indexed query.
POLL_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 3600.0


class Watch(threading.Thread):
    """Evaluates what is due until `stop` is set; may be killed at any moment."""

    def __init__(self, source: MetricsSource, stop: threading.Event) -> None:
        super().__init__(name="alerts", daemon=True)
        self._source, self._ended = source, stop
        self._cleaned = time.monotonic()

    def run(self) -> None:
        """Until the end; a database that is away costs time, nothing else."""
        while not self._ended.is_set():
            try:
                close_old_connections()
                evaluate.evaluate_due(self._source, timezone.now())
                if time.monotonic() - self._cleaned > HOUSEKEEPING_SECONDS:
                    self._cleaned = time.monotonic()
                    evaluate.forget_old(timezone.now())
            except DatabaseError as error:
                logger.error("Alerts were not evaluated, the database refused: %s.", error)
            self._ended.wait(POLL_SECONDS)
        connections.close_all()
