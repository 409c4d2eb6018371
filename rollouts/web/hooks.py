"""Calls to hooks as the page of a rollout shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rollouts import hooks
from rollouts.calls import WITHDRAWN
from rollouts.domain.hooks import ASKED
from rollouts.models import HookCall, Rollout
from rollouts.web.look import Badge, sentence


@dataclass(frozen=True, slots=True)
class CallView:
    """A call: what was asked of whom, the answer, and when it is tried again (None: no more)."""

    hook: str
    moment: str
    badge: Badge
    reason: str
    attempts: int
    at: datetime
    again_at: datetime | None


def call_views(rollout: Rollout) -> list[CallView]:
    """The calls of a rollout, newest first; none, and no query, when its plan names no hook."""
    plan = rollout.plan
    if not plan.get("hooks") and not any(step["kind"] == "hook" for step in plan["steps"]):
        return []
    return [call_view(call) for call in hooks.calls_of(rollout)]


def call_view(call: HookCall) -> CallView:
    """What is shown of one call."""
    asks = call.moment in ASKED
    return CallView(
        hook=call.webhook.name,
        moment=f"before the {call.moment}" if asks else f"told of the {call.moment}",
        badge=_badge(call, asks),
        reason=sentence(call.reason),
        attempts=call.attempts,
        at=call.asked_at,
        again_at=None if call.ended_at else call.due_at,
    )


def _badge(call: HookCall, asks: bool) -> Badge:
    if call.allowed is not None:
        return Badge("Allowed", "pass") if call.allowed else Badge("Refused", "fail")
    if call.ended_at is None:
        return Badge("Waiting", "hold")
    if call.reason == WITHDRAWN:
        return Badge("Withdrawn", "muted")
    arrived = call.status is not None and 200 <= call.status < 300
    return Badge("Told", "pass") if arrived and not asks else Badge("No answer", "fail")
