"""The queue's door: a message says "look now", the tick does the rest. Losing one costs an interval."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from rollouts import reconcile, store, wiring


@shared_task(name="rollouts.tick", ignore_result=True)
def tick_endpoint(endpoint_id: int) -> None:
    """One tick of one endpoint."""
    reconcile.tick(endpoint_id, wiring.ports())


@shared_task(name="rollouts.dispatch", ignore_result=True)
def dispatch() -> int:
    """Hands every endpoint that is due to a worker; any number of dispatchers may run."""
    due = claim()
    for endpoint_id in due:
        tick_endpoint.delay(endpoint_id)
    return len(due)


def claim() -> list[int]:
    """The endpoints whose tick is due, claimed for the caller."""
    now = timezone.now()
    reconcile.retire_previous(now)
    return store.claim_due(now, timedelta(seconds=settings.SLIPWAY_TICK_SECONDS))
