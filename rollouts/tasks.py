"""The queue's door: a message says "look now", the tick does the rest. Losing one costs an interval."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import current_app, shared_task
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from rollouts import reconcile, store, wiring

# Due endpoints are claimed so many at a time.
CLAIM_LIMIT = 100
# So many messages may wait for a worker. Beyond, endpoints stay due in the database, the longest waiting
# first: a queue that nobody drains does not grow, and a fresh decision does not wait behind stale ones.
QUEUE_LIMIT = 200
QUEUE_ERRORS = (OperationalError, RedisError, OSError)


class QueueDown(Exception):
    """The broker did not answer; what was claimed for it is due again."""


@shared_task(name="rollouts.tick", ignore_result=True)
def tick_endpoint(endpoint_id: int) -> None:
    """One tick of one endpoint; any number at once and any repetition are harmless."""
    tick(endpoint_id, wiring.ports())


def tick(endpoint_id: int, ports: reconcile.Ports, now: datetime | None = None) -> None:
    """The same in this process, with these ports."""
    try:
        reconcile.tick(endpoint_id, ports, now)
    except DatabaseError:
        # The connection may be dead with its server; the next tick takes a new one.
        close_old_connections()
        raise


def dispatch() -> int:
    """Hands endpoints that are due to workers; any number of dispatchers may run. Returns how many.

    Raises QueueDown within seconds when the broker does not answer.
    """
    with current_app.producer_or_acquire() as producer:
        try:
            room = QUEUE_LIMIT - _waiting(producer)
        except QUEUE_ERRORS as error:
            raise QueueDown(str(error)) from error
        due = claim(min(room, CLAIM_LIMIT))
        _send(due, producer)
    return len(due)


def claim(limit: int = CLAIM_LIMIT) -> list[int]:
    """The endpoints whose tick is due, the longest waiting first, claimed for the caller."""
    if limit <= 0:
        return []
    now = timezone.now()
    reconcile.retire_previous(now)
    return store.claim_due(now, timedelta(seconds=settings.SLIPWAY_TICK_SECONDS), limit=limit)


def _send(endpoint_ids: list[int], producer: Any) -> None:
    sent = 0
    try:
        for endpoint_id in endpoint_ids:
            tick_endpoint.apply_async((endpoint_id,), producer=producer, retry=False)
            sent += 1
    except QUEUE_ERRORS as error:
        store.release_claims(endpoint_ids[sent:], timezone.now())
        raise QueueDown(str(error)) from error


def _waiting(producer: Any) -> int:
    """How many messages no worker has taken yet."""
    queue = producer.channel.queue_declare(queue=current_app.conf.task_default_queue)
    return int(queue.message_count)
