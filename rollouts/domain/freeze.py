"""Freeze windows: stretches of time, once or again and again, in which no share may grow."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr

from rollouts.domain.policy import Freeze
from rollouts.errors import Invalid

LONGEST = timedelta(days=366)
# A recurrence is walked from its first beginning whenever it is asked about: so often at most.
TOO_OFTEN = re.compile(r"FREQ=(SECOND|MINUTE|HOUR)LY|BY(HOUR|MINUTE|SECOND)=", re.IGNORECASE)


def freeze_at(
    now: datetime, *, start: datetime, duration: timedelta, rule: str, zone: str, reason: str
) -> Freeze | None:
    """The freeze that a window puts into force at `now`, if it does.

    start: the first beginning (aware). rule: an RFC 5545 recurrence such as `FREQ=WEEKLY;BYDAY=FR`, or
    empty for once. zone: the IANA zone in which the recurrence keeps its wall-clock time, so that a
    window "Fridays 18:00" stays there when the clocks change.
    """
    local = start.astimezone(ZoneInfo(zone))
    began = local if not rule else _last_beginning(now, local, rule, zone)
    if began is None or not began <= now < began + duration:
        return None
    return Freeze(until=(began + duration).astimezone(UTC), reason=reason)


def next_beginning(now: datetime, *, start: datetime, rule: str, zone: str) -> datetime | None:
    """When a window begins after `now`; None when it never does again."""
    if start > now:
        return start.astimezone(UTC)
    if not rule:
        return None
    local, naive = start.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    found = rrulestr(rule, dtstart=local.replace(tzinfo=None)).after(naive)
    return None if found is None else found.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _last_beginning(now: datetime, local: datetime, rule: str, zone: str) -> datetime | None:
    """The newest occurrence at or before `now`, computed in wall-clock time."""
    naive = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    found = rrulestr(rule, dtstart=local.replace(tzinfo=None)).before(naive, inc=True)
    return None if found is None else found.replace(tzinfo=ZoneInfo(zone))


def check_window(*, start: datetime, duration: timedelta, rule: str, zone: str) -> None:
    """Refuses a window that could not be evaluated; Invalid names the field."""
    if start.tzinfo is None:
        raise Invalid("a time needs a time zone.", field="starts_at", hint="Write 2026-12-24T18:00:00Z.")
    if duration <= timedelta(0):
        raise Invalid("it ends before it begins.", field="ends_at")
    if duration > LONGEST:
        raise Invalid("a freeze lasts at most 366 days.", field="ends_at", hint="Let a shorter one repeat.")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid(
            f"{zone!r} is not a time zone.", field="timezone", hint="Write one such as Europe/Berlin."
        ) from error
    if TOO_OFTEN.search(rule):
        raise Invalid(
            f"{rule!r} repeats within a day.", field="rule", hint="Daily is the most: make the window longer."
        )
    try:
        if rule:
            rrulestr(rule, dtstart=start.replace(tzinfo=None))
    except (ValueError, TypeError) as error:
        raise Invalid(
            f"{rule!r} is not a recurrence: {error}.",
            field="rule",
            hint="Write FREQ=WEEKLY;BYDAY=FR, say, and an UNTIL in the time of the zone, without Z.",
        ) from error
