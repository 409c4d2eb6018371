"""Freeze windows and policies in words; pure functions of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from registry.domain.findings import GATING
from rollouts.domain.freeze import freeze_at, next_beginning
from rollouts.domain.plan import duration
from rollouts.domain.policy import Policy, Requirement
from rollouts.models import FreezeWindow
from rollouts.web.look import Badge

State = Literal["in force", "coming", "ended"]
BADGES: dict[State, Badge] = {
    "in force": Badge("In force", "hold"),
    "coming": Badge("Coming", "info"),
    "ended": Badge("Ended", "muted"),
}
# RFC 5545 rules that people choose by name; every other one is shown as it was written.
RECURRENCES: dict[str, str] = {
    "": "Once",
    "FREQ=DAILY": "Every day",
    "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR": "Monday to Friday",
    "FREQ=WEEKLY;BYDAY=FR": "Every Friday",
    "FREQ=WEEKLY;BYDAY=SA,SU": "Saturdays and Sundays",
    "FREQ=WEEKLY": "Every week, from the first day on",
    "FREQ=MONTHLY": "Every month, on the same day",
    "FREQ=YEARLY": "Every year, on the same day",
}


@dataclass(frozen=True, slots=True)
class WindowView:
    """A freeze window in the list; `first` and `last` in the wall-clock time of its zone."""

    window: FreezeWindow
    state: State
    badge: Badge
    first: str
    last: str
    recurrence: str
    until: datetime | None


def window_view(window: FreezeWindow, now: datetime) -> WindowView:
    """The window as of `now`; one that repeats and is not in force is coming."""
    freeze = None
    if window.ended_at is None and window.starts_at <= now:
        freeze = freeze_at(
            now,
            start=window.starts_at,
            duration=window.ends_at - window.starts_at,
            rule=window.rule,
            zone=window.timezone,
            reason=window.reason,
        )
    again = window.ended_at is None and next_beginning(
        now, start=window.starts_at, rule=window.rule, zone=window.timezone
    )
    state: State = "in force" if freeze else "coming" if again else "ended"
    zone = ZoneInfo(window.timezone)
    return WindowView(
        window=window,
        state=state,
        badge=BADGES[state],
        first=f"{window.starts_at.astimezone(zone):%a %Y-%m-%d %H:%M}",
        last=f"{window.ends_at.astimezone(zone):%a %Y-%m-%d %H:%M}",
        recurrence=RECURRENCES.get(window.rule, window.rule),
        until=freeze.until if freeze else None,
    )


def sorted_windows(windows: Iterable[FreezeWindow], now: datetime) -> list[WindowView]:
    """What is in force first, then what comes, then what ended; each by its beginning."""
    order = {state: at for at, state in enumerate(BADGES)}
    views = [window_view(window, now) for window in windows]
    return sorted(views, key=lambda view: (order[view.state], view.window.starts_at))


HOOK_MOMENTS = {
    "start": "before it starts",
    "increase": "before each increase",
    "promotion": "before all traffic moves",
    "rollback": "told of a rollback",
    "end": "told of the end",
}


def policy_lines(policy: Policy) -> tuple[str, ...]:
    """What an environment asks of its rollouts, a sentence each."""
    lines = [_requirement(requirement) for requirement in policy.approvals]
    if not lines:
        lines.append("No approval, unless the plan itself asks for one, as an A/B test does.")
    if policy.four_eyes:
        lines.append("Four eyes: where an approval is asked for, nobody approves a rollout of their own.")
    if policy.after:
        lines.append(f"The same artifact must have succeeded in {policy.after} before.")
    if policy.parity:
        lines.append("Parity: a version must give the answers shipped with its reference set.")
    if policy.without:
        told = "; ".join(GATING[code] for code in policy.without)
        lines.append(f"A version does not start with these findings: {told}.")
    for hook in policy.hooks:
        moments = ", ".join(HOOK_MOMENTS[moment] for moment in hook.on)
        lines.append(f"The hook {hook.name} has its say: {moments}.")
    return tuple(lines)


def _requirement(requirement: Requirement) -> str:
    count, group = requirement.count, requirement.group.replace("_", " ")
    before = "it starts" if requirement.before == "start" else "all traffic moves"
    return (
        f"{count} approval{'s' if count > 1 else ''} by a {group} before {before}, "
        f"within {duration(requirement.seconds)}."
    )
