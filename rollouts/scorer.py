"""Scoring jobs where there is no queue: a thread beside the ticks takes them in turns."""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from monitoring.scoring import turns
from monitoring.tasks import score_a_while

log = logging.getLogger("rollouts.scorer")
POLL_SECONDS = 1.0
# Another job's turn comes after so long.
TURN = 30.0


class Scorer(threading.Thread):
    """Works until `stop` is set; may be killed at any moment."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(name="scorer", daemon=True)
        self._ended = stop

    def run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                once(self._ended)
            except DatabaseError as error:
                log.warning("the database did not answer: %s", error)
                close_old_connections()
            except Exception:
                log.exception("a scoring job was not worked on; it is tried again")
        connections.close_all()


def once(stop: threading.Event | None = None) -> None:
    """One turn of each job that is due, unless workers or Kubernetes take them."""
    if settings.CELERY_BROKER_URL or settings.SLIPWAY_SCORING_JOB_FILE:
        return
    for job in turns.claim():
        score_a_while(job, TURN, stop.is_set if stop else lambda: False)
