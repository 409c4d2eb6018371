"""What is due, also after a clock was set back."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

# Clocks of several machines may differ by so much.
SKEW = timedelta(seconds=5)


def due(now: datetime, farthest: timedelta) -> Q:
    """A filter for rows whose `due_at` has come, or lies farther ahead than anybody moves it.

    Such a moment was written by a clock that was ahead; waiting for it could take hours.
    """
    return Q(due_at__lte=now) | Q(due_at__gt=now + farthest + SKEW)
