"""Answers to approval steps, and freeze windows: what release managers decide."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.roles import RANK, Role
from rollouts import store
from rollouts.domain.freeze import check_window
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Approve
from rollouts.domain.policy import Policy
from rollouts.errors import Conflict, Forbidden, Invalid, NotFound, WrongPhase
from rollouts.models import Approval, Endpoint, Environment, FreezeWindow, Rollout

ANSWERED = "You have answered this already; an answer is kept as it was given."


def approve(*, rollout: Rollout, actor: Actor, role: Role | None, comment: str = "") -> Approval:
    """One approval of the present step, bound to the pinned artifact and plan.

    Raises WrongPhase when nothing is asked, Forbidden for the author under four eyes or for somebody
    outside the group that is asked, Conflict for a second answer of the same person.
    """
    return _vote(rollout, actor, role, True, comment)


def refuse(*, rollout: Rollout, actor: Actor, role: Role | None, comment: str) -> Approval:
    """One refusal; it ends the rollout with the reason."""
    if not comment.strip():
        raise Invalid("a reason is required.", field="comment", hint="Say what must change.")
    return _vote(rollout, actor, role, False, comment)


def _vote(rollout: Rollout, actor: Actor, role: Role | None, yes: bool, comment: str) -> Approval:
    row = Rollout.objects.select_related(
        "endpoint__environment", "stable__version", "candidate__version"
    ).get(pk=rollout.pk)
    step = store.snapshot_of(row).current
    if row.phase != Phase.AWAITING_APPROVAL or not isinstance(step, Approve):
        raise WrongPhase(f"Rollout {row.pk} is {row.phase.replace('_', ' ')}; nobody is asked to approve it.")
    _check_voter(row, step, actor, role)
    try:
        with transaction.atomic():
            # The lock makes an answer and an abort of the same moment follow each other.
            Endpoint.objects.select_for_update().values_list("pk").get(pk=row.endpoint_id)
            vote = Approval.objects.create(
                rollout=row,
                step=row.step,
                approve=yes,
                voter=actor.name[:150],
                voter_id=actor.id or 0,
                role=role.value if role else "",
                comment=comment.strip(),
                digest=row.candidate.digest,
                plan_digest=row.plan_digest,
            )
            Endpoint.objects.filter(pk=row.endpoint_id).update(look_at=timezone.now(), **store.asked())
            audit.record(
                actor=actor,
                action="rollout.approve" if yes else "rollout.refuse",
                target=f"rollouts/{row.pk}",
                after={"step": row.step, "digest": vote.digest, "plan_digest": vote.plan_digest},
                reason=vote.comment,
            )
    except IntegrityError as error:
        raise Conflict(ANSWERED) from error
    return vote


def why_not(rollout: Rollout, actor: Actor, role: Role | None) -> str:
    """Why this person may not answer the present approval step; empty when they may.

    The rollout comes with its endpoint's environment.
    """
    step = store.snapshot_of(rollout).current
    if rollout.phase != Phase.AWAITING_APPROVAL or not isinstance(step, Approve):
        return "Nobody is asked to approve this rollout now."
    try:
        _check_voter(rollout, step, actor, role)
    except Forbidden as error:
        return error.message
    given = Approval.objects.filter(rollout=rollout, step=rollout.step, voter_id=actor.id or 0)
    return ANSWERED if given.exists() else ""


def _check_voter(rollout: Rollout, step: Approve, actor: Actor, role: Role | None) -> None:
    policy = Policy.from_dict(rollout.endpoint.environment.policy)
    if policy.four_eyes and actor.id is not None and actor.id == rollout.author_id:
        raise Forbidden(
            "You started this rollout, so somebody else must approve it.",
            hint="The environment's policy asks for four eyes.",
        )
    if not _belongs(role, step.group):
        raise Forbidden(f"This step asks for a {step.group.replace('_', ' ')}.")


def _belongs(role: Role | None, group: str) -> bool:
    """Whether the role is the group that is asked, or above it."""
    if role is None or group not in RANK:
        return False
    return RANK[role] >= RANK[Role(group)]


def votes_of(rollout: Rollout) -> list[Approval]:
    """Every answer, oldest first."""
    return list(Approval.objects.filter(rollout=rollout).order_by("id"))


def add_freeze(
    *,
    environment: Environment | None,
    starts_at: datetime,
    ends_at: datetime,
    rule: str = "",
    zone: str = "UTC",
    reason: str,
    actor: Actor,
) -> FreezeWindow:
    """A freeze window; `rule` repeats it (RFC 5545) in the wall-clock time of `zone`.

    Invalid names the wrong field.
    """
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason", hint="People who are held by it will read it.")
    check_window(start=starts_at, duration=ends_at - starts_at, rule=rule, zone=zone)
    if not rule and ends_at <= timezone.now():
        raise Invalid("that time is over.", field="ends_at", hint="Choose an end that is to come.")
    with transaction.atomic():
        window = FreezeWindow.objects.create(
            environment=environment,
            starts_at=starts_at,
            ends_at=ends_at,
            rule=rule,
            timezone=zone,
            reason=reason.strip()[:200],
            created_by=str(actor)[:150],
        )
        audit.record(
            actor=actor,
            action="freeze.add",
            target=f"freezes/{window.pk}",
            after={
                "environment": environment.name if environment else None,
                "starts_at": starts_at,
                "ends_at": ends_at,
                "rule": rule,
                "timezone": zone,
            },
            reason=reason,
        )
    return window


def end_freeze(*, window_id: int, actor: Actor, reason: str) -> FreezeWindow:
    """Ends a window for good, from now on."""
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason")
    with transaction.atomic():
        window = FreezeWindow.objects.select_for_update().filter(pk=window_id).first()
        if window is None:
            raise NotFound(f"There is no freeze window {window_id}.")
        if window.ended_at is not None:
            raise Conflict("This freeze window was ended already.")
        window.ended_at = timezone.now()
        window.save(update_fields=["ended_at"])
        audit.record(actor=actor, action="freeze.end", target=f"freezes/{window.pk}", reason=reason)
    return window
