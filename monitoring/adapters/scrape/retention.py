"""Keeping the store small: dense for a quarter of an hour, then a page per 15 s, and gone after a week."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from django.db.models import Min

from monitoring.models import Scrape, ScrapeLayout, ScrapeTarget

DENSE_SECONDS = 15 * 60.0
SPACING_SECONDS = 15.0
KEEP_SECONDS = 7 * 86400.0
# One step handles this much history and deletes at most this many rows, to keep write locks short.
SLICE_SECONDS = 300.0
BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Moment:
    id: int
    target: int
    at: float
    epoch: int
    up: bool


def superfluous(rows: Iterable[Moment]) -> list[int]:
    """Ids of rows (ordered by target and time) that thinning may delete.

    Kept are the first row of each SPACING_SECONDS of a target, and both rows at every restart and
    every change between up and down, so increases over thinned history stay exact.
    """
    items = list(rows)
    keep: set[int] = set()
    for index, row in enumerate(items):
        before = items[index - 1] if index else None
        if before is None or before.target != row.target or _slot(before) != _slot(row):
            keep.add(row.id)
    for left, right in pairwise(items):
        if left.target == right.target and (left.epoch, left.up) != (right.epoch, right.up):
            keep |= {left.id, right.id}
    last = {row.target: row.id for row in items}
    return [row.id for row in items if row.id not in keep and last[row.target] != row.id]


def _slot(row: Moment) -> int:
    return int(row.at // SPACING_SECONDS)


class Retention:
    """Works through history in small steps; `step` is called between two scrapes."""

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self._keep = keep_seconds
        self._thinned_to: float | None = None
        self._due: list[int] = []

    def step(self, now: float) -> int:
        """Delete one batch of rows that are due; returns how many. Call until 0 to catch up."""
        if not self._due:
            self._due = self._next(now)
        batch, self._due = self._due[:BATCH_ROWS], self._due[BATCH_ROWS:]
        if batch:
            Scrape.objects.filter(pk__in=batch).delete()
        return len(batch)

    def _next(self, now: float) -> list[int]:
        expired = Scrape.objects.filter(at__lt=now - self._keep).order_by("at")
        ids = list(expired.values_list("pk", flat=True)[:BATCH_ROWS])
        return ids or self._thin(now)

    def _thin(self, now: float) -> list[int]:
        """The next slice of history that has left the dense part; idempotent, so a restart begins anew."""
        start = self._thinned_to
        if start is None:
            oldest = Scrape.objects.aggregate(at=Min("at"))["at"]
            if oldest is None:
                return []
            start = float(oldest) // SPACING_SECONDS * SPACING_SECONDS
        end = min(start + SLICE_SECONDS, (now - DENSE_SECONDS) // SPACING_SECONDS * SPACING_SECONDS)
        if end <= start:
            return []
        self._thinned_to = end
        rows = Scrape.objects.filter(at__gte=start, at__lt=end).order_by("target_id", "at")
        return superfluous(Moment(*row) for row in rows.values_list("pk", "target_id", "at", "epoch", "up"))

    def sweep(self, now: float) -> None:
        """Remove targets and layouts that no row uses any more; cheap, for once an hour."""
        ScrapeTarget.objects.filter(last_seen__lt=now - self._keep, scrape=None).delete()
        ScrapeLayout.objects.filter(scrape=None).delete()
