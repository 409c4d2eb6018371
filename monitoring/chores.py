"""What monitoring does now and then, whoever does it: each chore is claimed in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from django.db.models import Q

from monitoring.models import Chore
from monitoring.models.due import SKEW

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every `seconds`; `work` gets the time, and may be repeated at will."""

    name: str
    seconds: float
    work: Callable[[float], object]


def claim(duties: Mapping[str, Duty], now: float) -> Iterator[Duty]:
    """The duties whose time has come, each moved on to its next time for one claimant alone."""
    known = dict(Chore.objects.filter(name__in=duties).values_list("name", "due_at"))
    missing = [Chore(name=name) for name in duties if name not in known]
    if missing:
        Chore.objects.bulk_create(missing, ignore_conflicts=True)
    for name, duty in duties.items():
        # A time farther ahead than anybody moves it was written by a clock that was ahead.
        farthest = now + duty.seconds + SKEW.total_seconds()
        at = known.get(name, 0.0)
        if now < at <= farthest:
            continue
        mine = Chore.objects.filter(Q(due_at__lte=now) | Q(due_at__gt=farthest), name=name)
        if mine.update(due_at=now + duty.seconds):
            yield duty
