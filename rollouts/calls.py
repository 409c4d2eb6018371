"""Calls to webhooks: asked for by ticks, made beside them, and answered into a row that ticks read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from monitoring.adapters import webhook
from monitoring.domain.notices import back_off
from monitoring.domain.signing import signed_headers
from monitoring.errors import Unreachable
from monitoring.models.due import due
from registry.errors import DomainError
from rollouts.domain.hooks import ASKED, TOLD, Answer, told_of
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import Hook
from rollouts.domain.replies import Meaning, meaning
from rollouts.domain.snapshot import Snapshot
from rollouts.models import Endpoint, HookCall, Rollout, Transition, Webhook

# Longer than one attempt can take; a call whose process was killed is made again after it.
LEASE = timedelta(seconds=45)
WITHDRAWN = "nobody waited for the answer any more"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# What is told and not asked is tried for so long.
TELL_FOR = timedelta(days=1)
# The phases in which a step that asks is walked; it holds when a freeze keeps it from going on.
_ASKING = frozenset({Phase.AWAITING_APPROVAL, Phase.HOLDING})


def answer_of(rollout: Rollout, snapshot: Snapshot) -> Answer | None:
    """What is known of the question that the present step asks; asks it if nobody did yet.

    Nothing is asked before the step has begun, nor while it will begin anew.
    """
    step = snapshot.current
    if not isinstance(step, Hook) or snapshot.phase not in _ASKING or snapshot.unready_since:
        return None
    question = {
        "rollout": rollout,
        "webhook": Webhook.objects.filter(name=step.name).first(),
        "moment": step.before,
        "step": snapshot.step,
        "asked_at": snapshot.step_started_at,
    }
    if question["webhook"] is None:
        return Answer(snapshot.step, snapshot.step_started_at, None, "there is no such hook")
    deadline = snapshot.step_started_at + timedelta(seconds=step.seconds)
    call, _ = HookCall.objects.get_or_create(**question, defaults={"deadline": deadline})
    return Answer(call.step, call.asked_at, call.allowed, call.reason)


def tell(moves: Sequence[Transition], now: datetime) -> None:
    """Writes a call for every hook that is to be told of one of these moves."""
    wanted = [
        (move, name, moment)
        for move in moves
        for moment in _told_moments(move)
        for name in told_of(move.rollout.plan, moment)
    ]
    known = {row.name: row for row in Webhook.objects.filter(name__in={name for _, name, _ in wanted})}
    HookCall.objects.bulk_create(
        (
            HookCall(
                rollout=move.rollout,
                webhook=known[name],
                moment=moment,
                step=move.step,
                asked_at=move.at,
                deadline=now + TELL_FOR,
                reason=move.reason,
            )
            for move, name, moment in wanted
            if name in known
        ),
        ignore_conflicts=True,
    )


def _told_moments(move: Transition) -> list[str]:
    back = move.to_phase == Phase.ROLLING_BACK
    over = any(move.to_phase == phase for phase in TERMINAL)
    return ["rollback"] if back else ["end"] if over else []


def claim(limit: int = 10) -> list[HookCall]:
    """Calls whose next attempt is due, claimed for the caller; what is told goes out in its order."""
    now = timezone.now()
    before = HookCall.objects.filter(
        rollout=OuterRef("rollout"), webhook=OuterRef("webhook"), moment__in=TOLD, ended_at=None,
        id__lt=OuterRef("id"),
    )  # fmt: skip
    ready = HookCall.objects.filter(due(now, timedelta(seconds=5 * LONGEST_PAUSE)), ended_at=None)
    if limit <= 0 or not ready.exists():
        return []
    with transaction.atomic():
        rows = ready.exclude(Exists(before), moment__in=TOLD).select_for_update(
            skip_locked=True, of=("self",)
        )
        claimed = list(rows.order_by("due_at").values_list("pk", flat=True)[:limit])
        HookCall.objects.filter(pk__in=claimed).update(due_at=now + LEASE)
    related = ("webhook", "rollout__endpoint__environment", "rollout__endpoint__model")
    versions = ("rollout__stable__version", "rollout__candidate__version")
    return list(HookCall.objects.filter(pk__in=claimed).select_related(*related, *versions))


def make(call: HookCall) -> None:
    """One attempt of a claimed call, and what came of it."""
    if call.moment in ASKED and _moved_on(call):
        _end(call, Meaning(None, WITHDRAWN, final=True), None)
        return
    if timezone.now() >= call.deadline:
        _end(call, Meaning(None, call.reason, final=True), None)
        return
    said, status, pause = _attempt(call)
    if said.final:
        _end(call, said, status)
    else:
        _again(call, said, status, pause)


def _moved_on(call: HookCall) -> bool:
    """Whether nobody waits for the answer any more: the rollout went back, is over, or asks anew."""
    row = call.rollout
    asking = any(row.phase == phase for phase in _ASKING)
    return not asking or (row.step, row.step_started_at) != (call.step, call.asked_at)


def _attempt(call: HookCall) -> tuple[Meaning, int | None, float | None]:
    """The meaning, the status, and the pause in seconds that the receiver asks for."""
    if not call.webhook.active:
        return Meaning(None, "It is switched off.", final=False), None, None
    body = json.dumps(document(call)).encode()
    try:
        headers = signed_headers(
            call.webhook.secret.open(), delivery=str(call.delivery), at=timezone.now(), body=body
        )
        reply = webhook.post(call.webhook.url.open(), headers, body)
    except Unreachable as error:
        return Meaning(None, str(error), final=False), None, None
    except DomainError as error:
        return Meaning(None, error.message, final=False), None, None
    return meaning(reply.status, reply.body, asks=call.moment in ASKED), reply.status, reply.retry_after


def _end(call: HookCall, said: Meaning, status: int | None) -> None:
    """Keeps the answer, once, and has the endpoint looked at now."""
    now = timezone.now()
    kept = said.reason if call.moment in ASKED else call.reason
    HookCall.objects.filter(pk=call.pk, ended_at=None).update(
        allowed=said.allowed, reason=kept, status=status, attempts=F("attempts") + 1, ended_at=now
    )
    Endpoint.objects.filter(pk=call.rollout.endpoint_id).update(look_at=now)


def _again(call: HookCall, said: Meaning, status: int | None, pause: float | None) -> None:
    """Due again after a pause that doubles, or the one that the receiver asks for."""
    wait = back_off(call.attempts + 1, first=FIRST_PAUSE, most=LONGEST_PAUSE)
    if pause is not None:
        wait = timedelta(seconds=min(max(pause, FIRST_PAUSE), 5 * LONGEST_PAUSE))
    changes: dict[str, Any] = {"reason": said.reason} if call.moment in ASKED else {}
    HookCall.objects.filter(pk=call.pk, ended_at=None).update(
        due_at=timezone.now() + wait, status=status, attempts=F("attempts") + 1, **changes
    )


def document(call: HookCall) -> dict[str, Any]:
    """The body of a call; the same at each attempt."""
    rollout, endpoint = call.rollout, call.rollout.endpoint
    plan = rollout.plan["steps"]
    return {
        "type": f"rollout.{call.moment}",
        "timestamp": call.asked_at.isoformat(),
        "data": {
            "rollout": rollout.pk,
            "link": f"{settings.SLIPWAY_PUBLIC_URL}/rollouts/{rollout.pk}/",
            "hook": call.webhook.name,
            "asks": call.moment in ASKED,
            "answer_before": call.deadline.isoformat(),
            "endpoint": endpoint.name,
            "environment": endpoint.environment.name,
            "model": endpoint.model.name,
            "stable": {"version": rollout.stable.version.ref, "digest": rollout.stable.digest},
            "candidate": {"version": rollout.candidate.version.ref, "digest": rollout.candidate.digest},
            "step": call.step,
            "next": next((step for step in plan[call.step + 1 :] if step["kind"] != "hook"), None),
            "plan_digest": rollout.plan_digest,
            "reason": call.reason if call.moment in TOLD else rollout.start_reason,
        },
    }
