"""What people may ask of a rollout, as pure functions from its row to the next row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rollouts.domain.machine import begin_step, move, roll_back
from rollouts.domain.phases import GLASS, TERMINAL, Phase
from rollouts.domain.snapshot import Decision, Snapshot
from rollouts.errors import WrongPhase

PAUSABLE = frozenset({Phase.PROVISIONING, Phase.PROGRESSING, Phase.HOLDING, Phase.AWAITING_APPROVAL})
PROMOTABLE = frozenset({Phase.PROGRESSING, Phase.HOLDING, Phase.PAUSED})
WALKED = PAUSABLE | PROMOTABLE
ABORTABLE = frozenset(Phase) - TERMINAL - {Phase.ROLLING_BACK}
# Which verbs apply in which phase: doors show a button for exactly these.
VERBS: dict[str, frozenset[Phase]] = {
    "pause": PAUSABLE,
    "resume": frozenset({Phase.PAUSED}),
    "promote": PROMOTABLE,
    "break_glass": WALKED,
    "abort": ABORTABLE,
}


def pause(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Stay at the present share until resumed; a failed gate still rolls back."""
    _require(snapshot, "pause")
    return move(snapshot, Phase.PAUSED, reason, now)


def resume(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Go on with the step that was paused; its clock starts anew."""
    _require(snapshot, "resume")
    return begin_step(snapshot, snapshot.step, reason, now)


def promote(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Skip the steps before the promotion, but no approval."""
    _require(snapshot, "promote")
    if snapshot.unready_since or not snapshot.provisioned:
        raise WrongPhase(
            f"v{snapshot.candidate} has no ready server yet, so it cannot take all traffic.",
            hint="Wait until it is ready, or roll back.",
        )
    if not snapshot.plan.promotes:
        raise WrongPhase(
            "This plan measures and promotes nothing.", hint="Start a canary of the version to promote it."
        )
    return begin_step(replace(snapshot, exposed_at=None), snapshot.plan.shortcut(snapshot.step), reason, now)


def break_glass(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """From now on no freeze, approval or hook holds this rollout; the timeline says who decided so."""
    _require(snapshot, "break_glass")
    if snapshot.override:
        raise WrongPhase("The glass of this rollout is broken already.")
    return move(replace(snapshot, override=True), snapshot.phase, f"{GLASS}: {reason}", now)


def abort(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Roll back now, from any phase that has not ended; one that never met a user ends as cancelled."""
    _require(snapshot, "abort")
    if snapshot.phase == Phase.QUEUED:
        return move(snapshot, Phase.CANCELLED, reason, now)
    return roll_back(
        snapshot, reason, now, ending=Phase.ROLLED_BACK if snapshot.met_users else Phase.CANCELLED
    )


def supersede(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Give way to a newer candidate: the traffic goes back first. A rollback under way stays what it is."""
    if snapshot.phase == Phase.QUEUED:
        return move(snapshot, Phase.SUPERSEDED, reason, now)
    if snapshot.phase == Phase.ROLLING_BACK:
        return Decision(snapshot)
    return roll_back(snapshot, reason, now, ending=Phase.SUPERSEDED)


def activate(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Begin a queued rollout; its first step's clock starts now."""
    return move(replace(snapshot, step_started_at=now), Phase.PENDING, reason, now)


def _require(snapshot: Snapshot, verb: str) -> None:
    allowed = VERBS[verb]
    if snapshot.phase in allowed:
        return
    over = "it is over" if snapshot.phase in TERMINAL else "it is being rolled back"
    if snapshot.phase in TERMINAL | {Phase.ROLLING_BACK}:
        raise WrongPhase(f"This rollout is {snapshot.phase.replace('_', ' ')}: {over}.")
    phases = ", ".join(phase.replace("_", " ") for phase in Phase if phase in allowed)
    raise WrongPhase(
        f"A rollout that is {snapshot.phase.replace('_', ' ')} cannot {verb.replace('_', ' ')}.",
        hint=f"It can while {phases}.",
    )
