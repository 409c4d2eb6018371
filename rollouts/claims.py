"""Whose turn it is: endpoints are claimed for a tick by one caller at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from rollouts.domain.clock import TOLERANCE
from rollouts.models import Endpoint


def due(now: datetime, interval: timedelta, *, limit: int = 100) -> list[int]:
    """Endpoints whose tick is due, the longest waiting first, claimed: `look_at` moves an interval on.

    Any number of callers may claim at once and nobody waits: rows that another one is claiming are
    skipped. Two queries when nothing is due, four for any number of endpoints. A tick that is due later than
    any claim can move it was put there by a clock that was ahead: it is due now.
    """
    ahead = Endpoint.objects.filter(look_at__gt=now + interval + TOLERANCE)
    if ahead.exists():
        ahead.update(look_at=now)
    waiting = Endpoint.objects.filter(look_at__lte=now)
    if not waiting.exists():
        return []
    with transaction.atomic():
        unclaimed = waiting.select_for_update(skip_locked=True).order_by("look_at")
        claimed = list(unclaimed.values_list("pk", flat=True)[:limit])
        Endpoint.objects.filter(pk__in=claimed).update(look_at=now + interval)
    return claimed


def give_back(claimed: Sequence[int], now: datetime) -> None:
    """Makes claimed endpoints due again, for a caller who cannot tick them."""
    Endpoint.objects.filter(pk__in=claimed, look_at__gt=now).update(look_at=now)
