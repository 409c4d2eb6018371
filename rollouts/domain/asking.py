"""What a query string asks for, read alike by pages and REST: a window of time, a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from monitoring.domain.pairs import Tolerance
from monitoring.domain.window import Window
from registry.domain.moments import moment_of
from registry.errors import Invalid

HOUR = timedelta(hours=1)


def window_of(query: Mapping[str, str], now: datetime, default: timedelta = HOUR) -> Window:
    """From `start` to `end`, both with a time zone; the end is now and the start `default` before it."""
    end = _moment(query, "end") or now
    start = _moment(query, "start") or end - default
    if start >= end:
        raise Invalid("It must be before the end.", field="start")
    return Window(start, end)


def since_first(window: Window, first: float) -> Window:
    """The window without the empty time before `first`, a Unix time: young charts are not squeezed."""
    start = datetime.fromtimestamp(first, window.end.tzinfo)
    return Window(start, window.end) if window.start < start < window.end else window


def tolerance_of(query: Mapping[str, str]) -> Tolerance:
    """`tolerance` and `relative_tolerance`, 0 and 0.001 when left out."""
    return Tolerance(
        positive(query, "tolerance", 0.0),
        positive(query, "relative_tolerance", 0.001),
    )


def positive(query: Mapping[str, str], name: str, default: float) -> float:
    """A finite number that is not negative."""
    text = query.get(name) or ""
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise Invalid(f"{ascii(text[:40])} is not a number of at least 0.", field=name)
    return value


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name) or ""
    if not text:
        return None
    value = moment_of(text)
    # A default window before or after any of these is one, too.
    if value is None or not 1970 <= value.year < 9999:
        raise Invalid(
            f"{ascii(text[:40])} is not a moment.",
            field=name,
            hint="Write 2026-03-01T12:00:00Z, with a zone.",
        )
    return value
