"""The rollout machine: one pure step from a row and an observation to the next row.

`decide` asks a short list of questions in order; the first that has an answer decides:
is a rollback being confirmed? did a gate fail? is the candidate alive? may the step end?
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitoring.domain.judge import Judgement, Verdict
from rollouts.domain.phases import TERMINAL, Phase, may_move
from rollouts.domain.plan import Analyse, Hold, Mirror, Promote, Provision, SetWeight
from rollouts.domain.snapshot import Decision, Event, Observation, Snapshot, World

# How long a write of "0 %" may stay unconfirmed before a person is called.
ROLLBACK_CONFIRM = timedelta(seconds=120)
# How long the candidate may have no ready server while it should carry traffic.
UNREADY_GRACE = timedelta(seconds=15)


def decide(snapshot: Snapshot, observation: Observation, now: datetime) -> Decision:
    """The next row of this rollout given what was seen; the same row when there is nothing to do."""
    if snapshot.phase in TERMINAL or snapshot.phase == Phase.QUEUED:
        return Decision(snapshot)
    looked = _note_look(snapshot, observation.judgement, now)
    if snapshot.phase == Phase.ROLLING_BACK:
        return _confirm_rollback(looked, observation.world, now)
    if observation.judgement and observation.judgement.verdict == Verdict.FAIL:
        return roll_back(looked, observation.judgement.reason, now, observation.judgement)
    if not observation.world.known:
        return Decision(looked)
    return (
        _candidate_lost(looked, observation.world, now)
        or _candidate_back(looked, observation.world, now)
        or _walk(looked, observation, observation.world, now)
    )


def move(
    snapshot: Snapshot,
    phase: Phase,
    reason: str,
    now: datetime,
    *,
    step: int | None = None,
    judgement: Judgement | None = None,
) -> Decision:
    """The snapshot in another phase or at another step, with the event that says so."""
    assert may_move(snapshot.phase, phase), f"{snapshot.phase} -> {phase} is not in the table"
    after = replace(snapshot, phase=phase, reason=reason)
    if step is not None and step != snapshot.step:
        after = replace(after, step=step, step_started_at=now)
    event = Event(
        from_phase=snapshot.phase,
        to_phase=phase,
        step=after.step,
        weight=after.weight,
        reason=reason,
        evidence=judgement.to_dict() if judgement else None,
    )
    return Decision(after, (event,))


def roll_back(
    snapshot: Snapshot,
    reason: str,
    now: datetime,
    judgement: Judgement | None = None,
    *,
    ending: Phase = Phase.ROLLED_BACK,
) -> Decision:
    """Towards 0 %: needs no metrics, no queue and no approval; confirmed by later observations.

    `ending` is the phase that a confirmed rollback ends in.
    """
    going = replace(snapshot, rolling_back_since=now, unready_since=None, ending=ending)
    return move(going, Phase.ROLLING_BACK, reason, now, judgement=judgement)


def _note_look(snapshot: Snapshot, judgement: Judgement | None, now: datetime) -> Snapshot:
    if judgement is None:
        return snapshot
    return replace(snapshot, looks=snapshot.looks + 1, last_look_at=now)


def _confirm_rollback(snapshot: Snapshot, world: World, now: datetime) -> Decision:
    without = not world.weight(snapshot.candidate) and not world.mirror.get(snapshot.candidate)
    if world.router_known and without:
        return move(snapshot, snapshot.ending, f"v{snapshot.stable} serves all traffic", now)
    if now - (snapshot.rolling_back_since or now) > ROLLBACK_CONFIRM:
        reason = (
            f"v{snapshot.candidate} was told to 0 % but the router did not confirm it: a person must look"
        )
        return move(snapshot, Phase.FAILED, reason, now)
    return Decision(snapshot)


def _candidate_lost(snapshot: Snapshot, world: World, now: datetime) -> Decision | None:
    status = world.workload(snapshot.candidate)
    if status.failed:
        return roll_back(snapshot, f"v{snapshot.candidate} cannot be served: {status.message}", now)
    if status.restarts > snapshot.plan.max_restarts:
        allowed = snapshot.plan.max_restarts
        reason = f"v{snapshot.candidate} crashed {status.restarts} times; the plan allows {allowed}"
        return roll_back(snapshot, f"{reason}. {status.message}".strip(), now)
    if snapshot.phase == Phase.PROVISIONING or status.ready > 0:
        return None
    if snapshot.unready_since is None:
        return _hold_unready(snapshot, status.message, now)
    if now - snapshot.unready_since > UNREADY_GRACE:
        seconds = (now - snapshot.unready_since).total_seconds()
        reason = f"v{snapshot.candidate} had no ready server for {seconds:.0f} s. {status.message}"
        return roll_back(snapshot, reason.strip(), now)
    return Decision(snapshot)


def _hold_unready(snapshot: Snapshot, message: str, now: datetime) -> Decision | None:
    """Takes the traffic away while no server can answer it; a promotion under way is given up instead."""
    if snapshot.phase == Phase.PENDING:
        return None
    if snapshot.phase == Phase.PROMOTING:
        return roll_back(snapshot, f"v{snapshot.candidate} lost its last ready server while promoting", now)
    held = replace(snapshot, unready_since=now, exposed_at=None)
    phase = Phase.PAUSED if snapshot.phase == Phase.PAUSED else Phase.HOLDING
    reason = (
        f"v{snapshot.candidate} has no ready server; its traffic went back to v{snapshot.stable}. {message}"
    )
    return move(held, phase, reason.strip(), now)


def _candidate_back(snapshot: Snapshot, world: World, now: datetime) -> Decision | None:
    if snapshot.unready_since is None or world.workload(snapshot.candidate).ready < snapshot.plan.replicas:
        return None
    # The step starts over: what was measured before the crash says nothing about the server now.
    back = replace(snapshot, unready_since=None, exposed_at=None, step_started_at=now)
    phase = Phase.PAUSED if snapshot.phase == Phase.PAUSED else Phase.PROGRESSING
    return move(back, phase, f"v{snapshot.candidate} is ready again", now)


def _walk(snapshot: Snapshot, observation: Observation, world: World, now: datetime) -> Decision:
    if snapshot.phase == Phase.PENDING:
        return move(snapshot, Phase.PROVISIONING, snapshot.current.describe(), now)
    exposed = _note_exposure(snapshot, world, now)
    if snapshot.phase == Phase.PAUSED or snapshot.unready_since:
        return Decision(exposed)
    match exposed.current:
        case Provision(replicas):
            return _provision(exposed, world, replicas, now)
        case SetWeight() | Mirror():
            return (
                _advance(exposed, "seen in effect", now) if _in_effect(exposed, world) else Decision(exposed)
            )
        case Hold(seconds):
            over = now - exposed.step_started_at >= timedelta(seconds=seconds)
            return _advance(exposed, "held", now) if over else Decision(exposed)
        case Analyse(seconds):
            return _analyse(exposed, observation.judgement, seconds, now)
        case Promote():
            return _promote(exposed, world, now)
        case _:
            return Decision(exposed)


def _note_exposure(snapshot: Snapshot, world: World, now: datetime) -> Snapshot:
    """Opens the analysis window when the intended share is first seen in effect."""
    if snapshot.exposed and snapshot.exposed_at is None and _in_effect(snapshot, world):
        return replace(snapshot, exposed_at=now)
    return snapshot


def _in_effect(snapshot: Snapshot, world: World) -> bool:
    return (
        world.weight(snapshot.candidate) == snapshot.weight
        and world.mirror.get(snapshot.candidate, 0) == snapshot.mirror
    )


def _provision(snapshot: Snapshot, world: World, replicas: int, now: datetime) -> Decision:
    status = world.workload(snapshot.candidate)
    if status.ready >= replicas:
        return _advance(
            snapshot, f"{status.ready} of {replicas} servers of v{snapshot.candidate} are ready", now
        )
    waited = now - snapshot.step_started_at
    if waited <= timedelta(seconds=snapshot.plan.ready_within):
        return Decision(snapshot)
    reason = f"{status.ready} of {replicas} servers ready after {waited.total_seconds():.0f} s"
    return roll_back(snapshot, f"{reason}. {status.message}".strip(), now)


def _analyse(snapshot: Snapshot, judgement: Judgement | None, seconds: float, now: datetime) -> Decision:
    elapsed = now - snapshot.step_started_at
    if judgement is None or elapsed < timedelta(seconds=seconds):
        return Decision(snapshot)
    if judgement.verdict == Verdict.PASS:
        return _advance(snapshot, judgement.reason, now, judgement)
    if elapsed >= timedelta(seconds=seconds + snapshot.plan.deadline):
        reason = (
            f"no decision after {elapsed.total_seconds():.0f} s, a person must decide: {judgement.reason}"
        )
        return move(snapshot, Phase.PAUSED, reason, now, judgement=judgement)
    if snapshot.phase == Phase.HOLDING and snapshot.reason == judgement.reason:
        return Decision(snapshot)
    if snapshot.phase == Phase.HOLDING:
        return Decision(replace(snapshot, reason=judgement.reason))
    return move(snapshot, Phase.HOLDING, judgement.reason, now, judgement=judgement)


def _promote(snapshot: Snapshot, world: World, now: datetime) -> Decision:
    if world.weight(snapshot.candidate) != 100:
        return Decision(snapshot)
    done = move(
        snapshot, Phase.SUCCEEDED, f"v{snapshot.candidate} serves all traffic and is the stable version", now
    )
    return replace(done, promoted=True)


def _advance(snapshot: Snapshot, why: str, now: datetime, judgement: Judgement | None = None) -> Decision:
    """To the next step; its name and why the last one ended make the reason."""
    index = snapshot.step + 1
    upcoming = snapshot.plan.steps[index]
    phase = Phase.PROMOTING if isinstance(upcoming, Promote) else Phase.PROGRESSING
    reason = f"{why}; now: {upcoming.describe()}"
    decision = move(snapshot, phase, reason, now, step=index, judgement=judgement)
    after = decision.snapshot
    if (after.weight, after.mirror) != (snapshot.weight, snapshot.mirror):
        after = replace(after, exposed_at=None, last_look_at=None)
    return replace(decision, snapshot=after)
