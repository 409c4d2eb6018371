"""The queue's door of monitoring: sends notices, measures an endpoint's drift, scores tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from celery import shared_task
from django.conf import settings

from monitoring import courier, drifting, wiring
from monitoring.adapters.queue import QUEUE_ERRORS
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.models import NoticeTarget, ScoringJob
from monitoring.scoring import turns
from registry.errors import Unavailable
from registry.wiring import artifact_store

log = logging.getLogger(__name__)
# Seconds of scoring per message, well below the time after which Redis delivers a message anew.
TURN = 60


@shared_task(name="monitoring.deliver", ignore_result=True)
def deliver(target_id: int) -> None:
    """One turn of a target that was claimed for this message; doing it twice sends nothing twice in vain."""
    target = NoticeTarget.objects.filter(pk=target_id, active=True).first()
    if target is not None:
        courier.serve(target, wiring.notifier())


@shared_task(name="monitoring.measure_drift", ignore_result=True)
def measure_drift(endpoint: str, versions: list[tuple[str, str]], window: dict[str, str]) -> None:
    """One endpoint's (model, version) pairs over one window; what fails is handed out again."""
    pairs = [(model, version) for model, version in versions]
    try:
        drifting.measure_endpoint(wiring.metrics_source(), endpoint, pairs, Window.from_dict(window))
    except MetricsUnavailable as error:
        log.warning("The drift of %s was not measured: %s", endpoint, error)


@shared_task(
    name="monitoring.score_job", ignore_result=True, soft_time_limit=4 * TURN, time_limit=4 * TURN + 30
)
def score_job(job_id: int, claim: str) -> None:
    """One turn of a scoring job, if it was not handed out anew since the message was sent.

    What is left is another message, so that no message lasts for hours.
    """
    job = turns.claimed(job_id, claim)
    if job is not None:
        score_a_while(job, TURN)


def score_a_while(job: ScoringJob, seconds: float, stop: Callable[[], bool] = lambda: False) -> bool:
    """One turn of so many seconds, of a job that is leased to the caller; whether there is more to do."""
    end = time.monotonic() + seconds
    return turns.work(job, artifact_store(), lambda: stop() or time.monotonic() > end)


def hand_out_scoring() -> None:
    """Jobs that are due become messages, or Jobs of Kubernetes; those that nobody took in time once more.

    Without either nothing is done: a thread of `tick` takes them.
    """
    runner = wiring.job_runner()
    if runner is None and not settings.CELERY_BROKER_URL:
        return
    for job in turns.claim(turns.QUEUED):
        try:
            if runner is not None:
                runner.start(job.pk, job.claim)
            else:
                score_job.apply_async((job.pk, job.claim), retry=False)
        except (*QUEUE_ERRORS, Unavailable) as error:
            log.warning("scoring job %s was not handed out: %s", job.pk, error)
            turns.release(job)
            return
