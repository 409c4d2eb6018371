"""Approval steps as the pages show them: what is asked, what was answered, and what an answer will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry.domain.roles import Permission
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Approve
from rollouts.domain.policy import Vote, tally
from rollouts.domain.snapshot import Snapshot
from rollouts.models import Approval
from rollouts.web.look import Badge, short_digest
from rollouts.web.verbs import Button, Deed, Verb

# Who may answer is asked of `rollouts.approvals`, so these need no permission beyond seeing the page.
APPROVE = Verb("approve", "Approve", Permission.VIEW)
REFUSE = Verb("refuse", "Refuse", Permission.VIEW, danger=True)
ANSWERS = {verb.name: verb for verb in (APPROVE, REFUSE)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's answer; `step` counts from 1, as the preview of the plan does."""

    badge: Badge
    who: str
    role: str
    step: int
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What the present step asks: `given` of `count` approvals by members of `group`, until `until`."""

    count: int
    given: int
    group: str
    until: datetime
    then: str
    buttons: tuple[Button, ...]
    why_not: str


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """The card of a plan that asks for approvals; `question` is None while nobody is asked."""

    question: Question | None
    answers: tuple[Answer, ...]
    digest: str
    plan_digest: str


def asks(snapshot: Snapshot) -> bool:
    """Whether the plan asks for an approval anywhere."""
    return any(isinstance(step, Approve) for step in snapshot.plan.steps)


def approval_view(snapshot: Snapshot, votes: Sequence[Approval], why_not: str) -> ApprovalView:
    """The card for a person who may not answer because of `why_not`; empty: who may."""
    return ApprovalView(
        question=_question(snapshot, votes, why_not),
        answers=tuple(_answer(vote) for vote in votes),
        digest=snapshot.digest,
        plan_digest=snapshot.plan_digest,
    )


def approve_deed(snapshot: Snapshot, votes: Sequence[Approval]) -> Deed:
    """What an approval of the present step does."""
    asked = _question(snapshot, votes, "")
    left = asked.count - asked.given if asked else 1
    last = (
        f"It is the last one that is asked: the rollout goes on at once with “{asked.then}”." if asked else ""
    )
    more = f"{left - 1} more must follow before the rollout goes on."
    return Deed(
        title=f"Approve v{snapshot.candidate}",
        summary=f"Says that v{snapshot.candidate} may go on after the evidence on this page.",
        consequences=(
            last if left <= 1 else more,
            f"It is bound to the artifact {short_digest(snapshot.digest)} and the plan "
            f"{snapshot.plan_digest[:12]}, and counts for no other.",
            "An answer is kept as it was given. Gates still hold, and anybody may roll back at any time.",
        ),
    )


def refuse_deed(snapshot: Snapshot) -> Deed:
    """What a refusal of the present step does."""
    stable, candidate, weight = snapshot.stable, snapshot.candidate, snapshot.weight
    traffic = (
        f"Sends 100 % of traffic back to v{stable} at once (v{candidate} has {weight} % now)."
        if weight
        else f"v{stable} keeps 100 % of traffic; nobody has been given v{candidate}."
    )
    return Deed(
        title=f"Refuse v{candidate}",
        summary=f"Ends the rollout of v{candidate} with your reason, whatever others have answered.",
        consequences=(
            traffic,
            f"v{candidate}’s servers are removed; trying again starts a new rollout.",
            "The timeline and the audit log keep your answer as it was given.",
        ),
    )


def _question(snapshot: Snapshot, votes: Sequence[Approval], why_not: str) -> Question | None:
    step = snapshot.current
    if snapshot.phase is not Phase.AWAITING_APPROVAL or not isinstance(step, Approve):
        return None
    cast = (
        Vote(
            voter=str(vote.voter_id),
            approve=vote.approve,
            comment=vote.comment,
            digest=vote.digest,
            plan_digest=vote.plan_digest,
        )
        for vote in votes
        if vote.step == snapshot.step
    )
    counted = tally(cast, digest=snapshot.digest, plan_digest=snapshot.plan_digest)
    return Question(
        count=step.count,
        given=counted.approvals,
        group=step.group.replace("_", " "),
        until=snapshot.step_started_at + timedelta(seconds=step.seconds),
        then=snapshot.plan.steps[snapshot.step + 1].describe(),
        buttons=tuple(Button(verb, why_not) for verb in ANSWERS.values()),
        why_not=why_not,
    )


def _answer(vote: Approval) -> Answer:
    return Answer(
        badge=Badge("Approved", "pass") if vote.approve else Badge("Refused", "fail"),
        who=vote.voter,
        role=vote.role.replace("_", " "),
        step=vote.step + 1,
        comment=vote.comment,
        at=vote.at,
    )
