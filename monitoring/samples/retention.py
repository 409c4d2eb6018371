"""How many samples are kept, how long, and how fast they may come.

Rows are appended and deleted from the oldest on, so the span of ids bounds their number, without counting.
"""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings

from monitoring.errors import Overloaded
from monitoring.models import Label, Prediction

# The rate is measured over this long; bursts within it are welcome.
RATE_SECONDS = 10.0
# How many rows one statement deletes, to keep write locks short.
BATCH_ROWS = 1_000
# A full table is emptied to this share, so that trimming it is not needed at every step.
TRIMMED = 0.9


def keep_seconds() -> float:
    """How long samples and labels are kept, by their arrival."""
    return float(settings.SLIPWAY_SAMPLES_KEEP_DAYS) * 86_400


def require_room(table: type[Prediction] | type[Label], now: float) -> None:
    """Raises Overloaded when the table is full or filled too fast of late."""
    newest = _end(table, "-id")
    if newest is None:
        return
    size = newest - (_end(table, "id") or newest) + 1
    if size > settings.SLIPWAY_SAMPLES_MAX:
        raise Overloaded(
            f"The store is full: {size:,} rows.", 60, "Sample less, or raise SLIPWAY_SAMPLES_MAX."
        )
    recent = table.objects.filter(received__gt=now - RATE_SECONDS).order_by("received", "id")
    first = recent.values_list("id", "received").first()
    if first is None:
        return
    surplus = (newest - first[0] + 1) - settings.SLIPWAY_SAMPLES_PER_SECOND * RATE_SECONDS
    if surplus >= 0:
        wait = max(1, math.ceil(first[1] + RATE_SECONDS - now))
        rate = settings.SLIPWAY_SAMPLES_PER_SECOND
        raise Overloaded(
            f"More than {rate:,} a second have arrived.", wait, "Wait, sample less, or raise the rate."
        )


def trim(now: float) -> int:
    """Delete what is too old and what is too much, in short steps; returns how many rows."""
    return sum(_trim(table, now) for table in (Prediction, Label))


def _trim(table: type[Prediction] | type[Label], now: float) -> int:
    deleted = 0
    expired = table.objects.filter(received__lt=now - keep_seconds()).order_by("received")
    newest, oldest = _end(table, "-id"), _end(table, "id")
    size = 0 if newest is None or oldest is None else newest - oldest + 1
    if newest is not None and size > settings.SLIPWAY_SAMPLES_MAX * TRIMMED:
        crowded = table.objects.filter(id__lte=newest - int(settings.SLIPWAY_SAMPLES_MAX * TRIMMED))
        deleted += delete_in_steps(crowded.order_by("id"))
    return deleted + delete_in_steps(expired)


def delete_in_steps(rows: Any) -> int:
    """Delete the rows of an ordered query set, so many at a time; returns how many."""
    deleted = 0
    while ids := list(rows.values_list("id", flat=True)[:BATCH_ROWS]):
        deleted += rows.model.objects.filter(id__in=ids).delete()[0]
    return deleted


def _end(table: type[Prediction] | type[Label], order: str) -> int | None:
    return table.objects.order_by(order).values_list("id", flat=True).first()
