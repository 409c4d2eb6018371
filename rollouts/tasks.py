"""The queue's door: a message says "look now", the tick does the rest. Losing one costs an interval."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app, shared_task
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from monitoring import drifting
from monitoring.adapters.queue import QUEUE_ERRORS
from monitoring.alerting import evaluate
from monitoring.chores import HOUR, Duty
from monitoring.domain.window import Window
from monitoring.samples import concept
from monitoring.samples import retention as samples_retention
from monitoring.tasks import hand_out_scoring, measure_drift
from monitoring.wiring import metrics_source
from registry.errors import DomainError
from rollouts import claims, reconcile, retraining, store, wiring
from rollouts.models import Endpoint
from rollouts.waiting import SENT_AT, STUCK_SECONDS, Backlog, messages_in

log = logging.getLogger(__name__)

# Due endpoints are claimed so many at a time.
CLAIM_LIMIT = 100
# So many are read by one query.
READ_TOGETHER = 10
# What is claimed at once goes into at most so many messages.
SPREAD = 20
# So many messages may wait for a worker. Beyond, endpoints stay due in the database, the longest waiting
# first: a queue that nobody drains does not grow, and a fresh decision does not wait behind stale ones.
QUEUE_LIMIT = 200
# Endpoints whose drift is handed out a minute: few enough that ticks do not wait behind them.
DRIFT_AT_ONCE = 50
# Of the queue that ticks and duties go into; this process's dispatcher looks at it.
backlog = Backlog()


class QueueDown(Exception):
    """The broker did not answer; what was claimed for it is due again."""


@shared_task(name="rollouts.tick", ignore_result=True)
def tick_endpoints(endpoint_ids: list[int]) -> None:
    """One tick of each endpoint; any number at once and any repetition are harmless."""
    tick_all(endpoint_ids)


def tick_all(
    endpoint_ids: Sequence[int],
    ports: reconcile.Ports | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """The same in this process. One endpoint's failure does not stop the others.

    They are read a few at a time, so that what a tick works on is milliseconds old, and their questions to
    the metrics source go out together. Raises DatabaseError when the database does not answer.
    """
    # One moment for all, so that the answers fit the ticks.
    now = timezone.now()
    try:
        asked = reconcile.asked_together(endpoint_ids, ports or wiring.ports(), now)
        for start in range(0, len(endpoint_ids), READ_TOGETHER):
            for loaded in store.load_many(endpoint_ids[start : start + READ_TOGETHER]):
                if stopping():
                    return
                _tick(loaded, asked if ports else _placed(asked, loaded), now)
    except DatabaseError:
        # The connection may be dead with its server; the next tick takes a new one.
        close_old_connections()
        raise


def _placed(ports: reconcile.Ports, loaded: store.Loaded) -> reconcile.Ports:
    return wiring.placed(ports, loaded.endpoint.environment.target)


def _tick(loaded: store.Loaded, ports: reconcile.Ports, now: datetime) -> None:
    try:
        reconcile.tick_loaded(loaded, ports, now)
    except DatabaseError:
        raise
    except Exception:
        log.exception("the tick of endpoint %s failed; it is tried again", loaded.endpoint.name)


def dispatch() -> int:
    """Hands endpoints that are due to workers; any number of dispatchers may run. Returns how many.

    Raises QueueDown within seconds when the broker does not answer.
    """
    with current_app.producer_or_acquire() as producer:
        try:
            count = messages_in(producer.channel, current_app.conf.task_default_queue)
        except QUEUE_ERRORS as error:
            raise QueueDown(str(error)) from error
        if backlog.stuck(count):
            raise QueueDown(f"no worker took a message for {STUCK_SECONDS:g} s")
        room = QUEUE_LIMIT - count
        due = claim(min(room, CLAIM_LIMIT))
        _send(due, producer)
    return len(due)


def claim(limit: int = CLAIM_LIMIT) -> list[int]:
    """The endpoints whose tick is due, the longest waiting first, claimed for the caller."""
    if limit <= 0:
        return []
    now = timezone.now()
    reconcile.retire_previous(now)
    return claims.due(now, timedelta(seconds=settings.SLIPWAY_TICK_SECONDS), limit=limit)


def _send(endpoint_ids: list[int], producer: Any) -> None:
    """A few endpoints per message when many are due; few that are due go to as many workers."""
    size = -(-len(endpoint_ids) // SPREAD) or 1
    sent = 0
    try:
        for start in range(0, len(endpoint_ids), size):
            few = endpoint_ids[start : start + size]
            headers = {SENT_AT: time.time()}
            tick_endpoints.apply_async((few,), producer=producer, retry=False, headers=headers)
            sent += len(few)
    except QUEUE_ERRORS as error:
        claims.give_back(endpoint_ids[sent:], timezone.now())
        raise QueueDown(str(error)) from error


def duties() -> dict[str, Duty]:
    """What is done now and then, by name."""
    found = (
        Duty("alerts", evaluate.EVERY.total_seconds() / 3, _evaluate_alerts),
        Duty("scoring", 2.0, lambda now: hand_out_scoring()),
        Duty("alert-history", HOUR, lambda now: evaluate.forget_old(datetime.fromtimestamp(now, UTC))),
        Duty("samples", HOUR, samples_retention.trim),
        Duty("drift-history", HOUR, drifting.trim),
        Duty("concept-history", HOUR, concept.trim),
        Duty("retraining", 60.0, retraining.tend),
        Duty(concept.CHORE, 300.0, concept.update),
        Duty("drift", min(60.0, settings.SLIPWAY_DRIFT_INTERVAL), _measure_drift),
    )
    return {duty.name: duty for duty in found}


@shared_task(name="rollouts.duty", ignore_result=True)
def do_duty(name: str) -> None:
    """One duty, once; what fails is tried again at its next time."""
    try:
        duties()[name].work(timezone.now().timestamp())
    except DomainError as error:
        log.warning("%s: %s", name, error)
    except DatabaseError:
        close_old_connections()
        raise
    except Exception:
        log.exception("%s failed; it is tried again", name)


def _evaluate_alerts(now: float) -> int:
    return evaluate.evaluate_due(metrics_source(), datetime.fromtimestamp(now, UTC))


def _measure_drift(now: float) -> int:
    """Whole intervals that are not measured yet: one message per endpoint, or all here without a queue."""
    ended = drifting.window_before(now).end
    if not Endpoint.objects.filter(created_at__lt=ended).exists():
        # Nothing was served then, and that the scraper had not begun either is no news.
        return 0
    if not settings.CELERY_BROKER_URL:
        return drifting.measure_all(metrics_source(), now)
    return drifting.schedule(metrics_source(), now, _hand_out_drift, DRIFT_AT_ONCE)


def _hand_out_drift(endpoint: str, versions: drifting.Versions, window: Window) -> None:
    try:
        measure_drift.apply_async((endpoint, list(versions), window.to_dict()), retry=False)
    except QUEUE_ERRORS as error:
        log.warning("the queue did not answer, measuring %s here: %s", endpoint, error)
        drifting.measure_endpoint(metrics_source(), endpoint, versions, window)
