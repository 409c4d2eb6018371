"""The rollout machine: one pure step from a row and an observation to the next row.

`decide` asks a short list of questions in order; the first that has an answer decides:
is a rollback being confirmed? did a gate fail? is the candidate alive? may the step end?
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitoring.domain.judge import Judgement, Verdict
from rollouts.domain.clock import in_its_time
from rollouts.domain.hooks import Answer, rule
from rollouts.domain.phases import GLASS, TERMINAL, Phase, may_move
from rollouts.domain.plan import (
    Analyse,
    Approve,
    Arm,
    Conclude,
    Experiment,
    Hold,
    Hook,
    Mirror,
    Preview,
    Promote,
    Provision,
    SetWeight,
    duration,
)
from rollouts.domain.policy import Freeze, Vote, tally
from rollouts.domain.recommendation import recommendation
from rollouts.domain.snapshot import Decision, Event, Observation, Snapshot, WorkloadStatus, World

# How long a write of "0 %" may stay unconfirmed before a person is called.
ROLLBACK_CONFIRM = timedelta(seconds=120)
# How long the candidate may have no ready server, once its servers fail or fall silent.
UNREADY_GRACE = timedelta(seconds=15)


# A person is asked in these; a crash of the candidate does not answer for them.
_WAITING = frozenset({Phase.PAUSED, Phase.AWAITING_APPROVAL})
# The phase in which a step of a kind is walked; every other kind is walked in `progressing`.
STEP_PHASES = {
    Approve.kind: Phase.AWAITING_APPROVAL,
    Hook.kind: Phase.AWAITING_APPROVAL,
    Provision.kind: Phase.PROVISIONING,
    Promote.kind: Phase.PROMOTING,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a step is over, with the judgement that says so."""

    why: str
    judgement: Judgement | None = None


def decide(snapshot: Snapshot, observation: Observation, now: datetime) -> Decision:
    """The next row of this rollout given what was seen; the same row when there is nothing to do."""
    if snapshot.phase in TERMINAL or snapshot.phase == Phase.QUEUED:
        return Decision(snapshot)
    looked = _note_look(in_its_time(snapshot, now), observation.judgement, now)
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
    candidate = snapshot.candidate
    without = not world.weight(candidate) and not world.mirror.get(candidate) and world.preview != candidate
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
    if snapshot.phase == Phase.PROVISIONING or status.ready > 0 or not snapshot.provisioned:
        return None
    if snapshot.unready_since is None:
        return _hold_unready(snapshot, status.message, now)
    if not world.workload(snapshot.stable).ready:
        # Neither answers: it is not the candidate, and nothing would be better without it.
        return Decision(replace(snapshot, unready_since=now))
    if now - snapshot.unready_since > _grace(snapshot, status):
        seconds = (now - snapshot.unready_since).total_seconds()
        reason = f"v{snapshot.candidate} had no ready server for {seconds:.0f} s. {status.message}"
        return roll_back(snapshot, reason.strip(), now)
    return Decision(snapshot)


def _grace(snapshot: Snapshot, status: WorkloadStatus) -> timedelta:
    """How long the candidate may have no ready server: moved, as long as it may take to start."""
    start = timedelta(seconds=snapshot.plan.ready_within)
    return max(UNREADY_GRACE, start) if status.moved else UNREADY_GRACE


def _hold_unready(snapshot: Snapshot, message: str, now: datetime) -> Decision:
    """Takes the traffic away while no server can answer it; a promotion under way is given up instead."""
    if snapshot.phase == Phase.PROMOTING:
        return roll_back(snapshot, f"v{snapshot.candidate} lost its last ready server while promoting", now)
    if snapshot.lapses >= snapshot.plan.max_restarts:
        reason = (
            f"v{snapshot.candidate} lost its last ready server {snapshot.lapses + 1} times; "
            f"the plan allows {snapshot.plan.max_restarts}"
        )
        return roll_back(snapshot, f"{reason}. {message}".strip(), now)
    held = replace(snapshot, unready_since=now, exposed_at=None, lapses=snapshot.lapses + 1)
    phase = snapshot.phase if snapshot.phase in _WAITING else Phase.HOLDING
    reason = (
        f"v{snapshot.candidate} has no ready server; its traffic went back to v{snapshot.stable}. {message}"
    )
    return move(held, phase, reason.strip(), now)


def _candidate_back(snapshot: Snapshot, world: World, now: datetime) -> Decision | None:
    if snapshot.unready_since is None or world.workload(snapshot.candidate).ready < snapshot.plan.replicas:
        return None
    # The step starts over: what was measured before the crash says nothing about the server now.
    back = replace(snapshot, unready_since=None, exposed_at=None, step_started_at=now)
    phase = snapshot.phase if snapshot.phase in _WAITING else Phase.PROGRESSING
    return move(back, phase, f"v{snapshot.candidate} is ready again", now)


def _walk(snapshot: Snapshot, observation: Observation, world: World, now: datetime) -> Decision:
    if snapshot.phase == Phase.PENDING:
        return begin_step(snapshot, snapshot.step, snapshot.current.describe(), now)
    exposed = _note_exposure(snapshot, world, now)
    if snapshot.phase == Phase.PAUSED or snapshot.unready_since:
        return Decision(exposed)
    done = _step_done(exposed, observation, world, now)
    if isinstance(done, Decision):
        return done
    return _advance(exposed, done, observation.freeze, now)


def _step_done(snapshot: Snapshot, observation: Observation, world: World, now: datetime) -> Decision | Ended:
    """Why the present step is over, or the decision to stay in it."""
    match snapshot.current:
        case Approve() as step:
            return _approve(snapshot, step, observation.votes, now)
        case Hook() as step:
            return _ask_hook(snapshot, step, observation.answer, now)
        case Provision(replicas):
            return _provision(snapshot, world, replicas, now)
        case SetWeight() | Mirror() | Preview() | Arm():
            return Ended("seen in effect") if _in_effect(snapshot, world) else Decision(snapshot)
        case Hold(seconds):
            over = now - snapshot.step_started_at >= timedelta(seconds=seconds)
            return Ended("held") if over else Decision(snapshot)
        case Experiment(seconds):
            return _experiment(snapshot, observation.judgement, seconds, now)
        case Analyse(seconds):
            return _analyse(snapshot, observation.judgement, seconds, now)
        case Promote():
            return _promote(snapshot, world, now)
        case Conclude():
            return roll_back(snapshot, "measured to the end", now, ending=Phase.CONCLUDED)
        case _:
            return Decision(snapshot)


def _approve(snapshot: Snapshot, step: Approve, votes: tuple[Vote, ...], now: datetime) -> Decision | Ended:
    counted = tally(votes, digest=snapshot.digest, plan_digest=snapshot.plan_digest)
    if snapshot.override:
        return Ended(GLASS)
    if counted.refusal is not None:
        said = f": {counted.refusal.comment}" if counted.refusal.comment else ""
        return _end_quietly(snapshot, f"refused by {counted.refusal.voter}{said}", now)
    if counted.approvals >= step.count:
        return Ended(f"approved by {', '.join(sorted({vote.voter for vote in votes if vote.approve}))}")
    if now - snapshot.step_started_at >= timedelta(seconds=step.seconds):
        return _end_quietly(
            snapshot, f"{counted.approvals} of {step.count} approvals after {duration(step.seconds)}", now
        )
    return Decision(snapshot)


def _ask_hook(snapshot: Snapshot, step: Hook, answer: Answer | None, now: datetime) -> Decision | Ended:
    if snapshot.override:
        return Ended(GLASS)
    ruling = rule(step, snapshot.step, snapshot.step_started_at, answer, now)
    match ruling.what:
        case "go":
            return Ended(ruling.why)
        case "roll_back":
            return _end_quietly(snapshot, ruling.why, now)
        case "hold":
            return move(snapshot, Phase.PAUSED, ruling.why, now)
        case _:
            return Decision(snapshot)


def _end_quietly(snapshot: Snapshot, reason: str, now: datetime) -> Decision:
    """Back, and over: as cancelled when nobody met the candidate yet."""
    ending = Phase.ROLLED_BACK if snapshot.met_users else Phase.CANCELLED
    return roll_back(snapshot, reason, now, ending=ending)


def _note_exposure(snapshot: Snapshot, world: World, now: datetime) -> Snapshot:
    """Opens the analysis window when the intended share is first seen in effect."""
    if snapshot.exposed and snapshot.exposed_at is None and _in_effect(snapshot, world):
        return replace(snapshot, exposed_at=now)
    return snapshot


def _in_effect(snapshot: Snapshot, world: World) -> bool:
    return (
        world.weight(snapshot.candidate) == snapshot.weight
        and world.mirror.get(snapshot.candidate, 0) == snapshot.mirror
        and world.preview == (snapshot.candidate if snapshot.match else None)
    )


def _provision(snapshot: Snapshot, world: World, replicas: int, now: datetime) -> Decision | Ended:
    status = world.workload(snapshot.candidate)
    if status.ready >= replicas:
        return Ended(f"{status.ready} of {replicas} servers of v{snapshot.candidate} are ready")
    waited = now - snapshot.step_started_at
    if waited <= timedelta(seconds=snapshot.plan.ready_within):
        return Decision(snapshot)
    reason = f"{status.ready} of {replicas} servers ready after {waited.total_seconds():.0f} s"
    return roll_back(snapshot, f"{reason}. {status.message}".strip(), now)


def _experiment(
    snapshot: Snapshot, judgement: Judgement | None, seconds: float, now: datetime
) -> Decision | Ended:
    """Over after its time when there was enough data to compare; a difference is not asked for."""
    over = now - snapshot.step_started_at >= timedelta(seconds=seconds)
    if judgement is not None and over and judgement.verdict in {Verdict.PASS, Verdict.INCONCLUSIVE}:
        return Ended(recommendation(judgement, snapshot.stable, snapshot.candidate), judgement)
    return _analyse(snapshot, judgement, seconds, now)


def _analyse(
    snapshot: Snapshot, judgement: Judgement | None, seconds: float, now: datetime
) -> Decision | Ended:
    elapsed = now - snapshot.step_started_at
    if judgement is None or elapsed < timedelta(seconds=seconds):
        return Decision(snapshot)
    if judgement.verdict == Verdict.PASS:
        return Ended(judgement.reason, judgement)
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


def _advance(snapshot: Snapshot, ended: Ended, freeze: Freeze | None, now: datetime) -> Decision:
    """To the next step, unless a freeze forbids that a share grows."""
    index = snapshot.step + 1
    grows = snapshot.plan.weight_at(index) > snapshot.plan.weight_at(snapshot.step)
    if freeze is not None and grows and not snapshot.override:
        if snapshot.reason == str(freeze):
            return Decision(snapshot)
        return move(snapshot, Phase.HOLDING, str(freeze), now)
    reason = f"{ended.why}; now: {snapshot.plan.steps[index].describe()}"
    return begin_step(snapshot, index, reason, now, ended.judgement)


def begin_step(
    snapshot: Snapshot, index: int, reason: str, now: datetime, judgement: Judgement | None = None
) -> Decision:
    """The step at `index`, in the phase that belongs to its kind, with its clock at zero."""
    phase = STEP_PHASES.get(snapshot.plan.steps[index].kind, Phase.PROGRESSING)
    started = replace(snapshot, step_started_at=now) if index == snapshot.step else snapshot
    decision = move(started, phase, reason, now, step=index, judgement=judgement)
    after = decision.snapshot
    if _exposure(after) != _exposure(snapshot):
        after = replace(after, exposed_at=None, last_look_at=None)
    return replace(decision, snapshot=after)


def _exposure(snapshot: Snapshot) -> tuple[int, int, bool]:
    return snapshot.weight, snapshot.mirror, isinstance(snapshot.match, Arm)
