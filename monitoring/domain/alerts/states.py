"""The states of one alert: a pure step from what is remembered and a value to what comes next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.domain.alerts.rules import Rule

# An alert whose series has had no data for so long is put away: its version is gone.
FORGET = timedelta(days=1)


class State(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"
    RESOLVED = "resolved"
    EXPIRED = "expired"


# Those that are not over.
OPEN = (State.PENDING, State.FIRING, State.NO_DATA)


@dataclass(frozen=True, slots=True)
class Memory:
    """One alert: `since` is when it came into its state, `pending_since` when the breach began,
    `fired_at` when it first fired (None = not yet)."""

    state: State
    since: datetime
    pending_since: datetime | None = None
    fired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next, and whether the state changed."""

    memory: Memory
    changed: bool


def step(rule: Rule, memory: Memory | None, value: float | None, now: datetime) -> Step:
    """One evaluation; `memory` None = no open alert, `value` None = the series has no data.

    No data never resolves an alert: one that fired waits in `no_data` and goes on firing when the data is
    back and still bad. A breach that only was pending begins anew after a gap.
    """
    before = memory or Memory(State.INACTIVE, now)
    after = _without_data(before, now) if value is None else _with(rule, before, rule.breached(value), now)
    return Step(after, after.state is not before.state)


def _with(rule: Rule, memory: Memory, breached: bool, now: datetime) -> Memory:
    if not breached:
        if memory.fired_at is not None:
            return _to(State.RESOLVED, memory, now)
        return _to(State.INACTIVE, replace(memory, pending_since=None), now)
    since = memory.pending_since or now
    begun = replace(memory, pending_since=since)
    if memory.fired_at is not None:
        return _to(State.FIRING, begun, now)
    if (now - since).total_seconds() >= rule.for_seconds:
        return _to(State.FIRING, replace(begun, fired_at=now), now)
    return _to(State.PENDING, begun, now)


def _without_data(memory: Memory, now: datetime) -> Memory:
    if memory.fired_at is None:
        return _to(State.INACTIVE, replace(memory, pending_since=None), now)
    if memory.state is State.NO_DATA and now - memory.since >= FORGET:
        return _to(State.EXPIRED, memory, now)
    return _to(State.NO_DATA, memory, now)


def _to(state: State, memory: Memory, now: datetime) -> Memory:
    return memory if state is memory.state else replace(memory, state=state, since=now)
