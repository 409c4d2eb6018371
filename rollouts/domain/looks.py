"""When the gates are to be looked at, and over which window."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitoring.domain.window import Window
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Analyse
from rollouts.domain.snapshot import Snapshot

_LOOKING = frozenset({Phase.PROGRESSING, Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL})


def window_due(snapshot: Snapshot, now: datetime) -> Window | None:
    """The window to judge now, or None when no look is due.

    From the moment the candidate's share was seen in effect, every interval, whatever the step is:
    a crash during a hold or a pause is as bad as one during an analysis.
    """
    if snapshot.phase not in _LOOKING or not snapshot.exposed or snapshot.exposed_at is None:
        return None
    if not snapshot.plan.gates:
        return None
    last = max(snapshot.exposed_at, snapshot.last_look_at or snapshot.exposed_at)
    if now - last < timedelta(seconds=snapshot.plan.interval) and not _analysis_ended(snapshot, last, now):
        return None
    return Window(start=snapshot.exposed_at, end=now)


def _analysis_ended(snapshot: Snapshot, last: datetime, now: datetime) -> bool:
    """An analysis is over and was not looked at since: decide now instead of an interval later."""
    if not isinstance(snapshot.current, Analyse):
        return False
    end = snapshot.step_started_at + timedelta(seconds=snapshot.current.seconds)
    return last < end <= now
