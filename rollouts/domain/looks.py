"""When the gates are to be looked at, and over which window."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitoring.domain.window import Window
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Analyse, Hold
from rollouts.domain.snapshot import Snapshot

_LOOKING = frozenset({Phase.PROGRESSING, Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL})


def next_look(snapshot: Snapshot) -> datetime | None:
    """When the gates are to be looked at next; None while there is nothing to judge.

    From the moment the candidate's share was seen in effect, every interval, whatever the step is: a
    crash during a hold or a pause is as bad as one during an analysis. And at the end of an analysis,
    to decide then instead of an interval later.
    """
    if snapshot.phase not in _LOOKING or not snapshot.exposed or snapshot.exposed_at is None:
        return None
    if not snapshot.plan.gates:
        return None
    last = max(snapshot.exposed_at, snapshot.last_look_at or snapshot.exposed_at)
    regular = last + timedelta(seconds=snapshot.plan.interval)
    if not isinstance(snapshot.current, Analyse):
        return regular
    end = snapshot.step_started_at + timedelta(seconds=snapshot.current.seconds)
    return min(regular, end) if end > last else regular


def window_due(snapshot: Snapshot, now: datetime) -> Window | None:
    """The window to judge now, or None when no look is due."""
    due = next_look(snapshot)
    if due is None or snapshot.exposed_at is None or now < due:
        return None
    return Window(start=snapshot.exposed_at, end=now)


def next_moment(snapshot: Snapshot) -> datetime | None:
    """When time alone may change something: the next look, or the end of a hold.

    A tick at that moment, rather than at the next beat of the clock, is what bounds how long a bad
    candidate keeps its traffic.
    """
    look = next_look(snapshot)
    if not isinstance(snapshot.current, Hold):
        return look
    end = snapshot.step_started_at + timedelta(seconds=snapshot.current.seconds)
    return end if look is None else min(look, end)
