"""Moments from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def moment_of(text: Any, *, zoned: bool = True) -> datetime | None:
    """The ISO 8601 moment or day in UTC; None for anything else.

    zoned: whether the text must name its zone; else one that does not is of UTC. A moment that only its zone
    keeps within the years 1 to 9999 is none: no database compares with it.
    """
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        if moment is None or (zoned and moment.tzinfo is None):
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
