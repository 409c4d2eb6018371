"""Scoring jobs where there is no queue: a thread beside the ticks takes them in turns."""

from __future__ import annotations

import threading

from django.conf import settings

from monitoring.scoring import turns
from monitoring.tasks import score_a_while

POLL_SECONDS = 1.0
# Another job's turn comes after so long.
TURN = 30.0


def once(stop: threading.Event | None = None) -> None:
    """One turn of each job that is due, unless workers or Kubernetes take them."""
    if settings.CELERY_BROKER_URL or settings.SLIPWAY_SCORING_JOB_FILE:
        return
    for job in turns.claim():
        score_a_while(job, TURN, stop.is_set if stop else lambda: False)
