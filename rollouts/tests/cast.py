"""Values that the unit tests share: a fixed moment, plans, snapshots, worlds, judgements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring.domain.judge import GateResult, Judgement, Verdict
from monitoring.domain.window import Window
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Plan
from rollouts.domain.snapshot import Observation, Snapshot, WorkloadStatus, World
from rollouts.domain.strategies import compile_plan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STABLE, CANDIDATE = "1", "2"
FAST: dict[str, Any] = {
    "steps": [5, 50],
    "hold_seconds": 10,
    "analyse_seconds": 20,
    "interval_seconds": 5,
    "deadline_seconds": 60,
    "ready_within_seconds": 30,
}
# Indices into the plan that FAST compiles to.
PROVISION, AT_5, HOLD_5, ANALYSE_5, AT_50, HOLD_50, ANALYSE_50, PROMOTE, RETIRE = range(9)


def later(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def plan(**changes: Any) -> Plan:
    """The fast canary."""
    return compile_plan("canary", {**FAST, **changes}, replicas=1)


def snapshot(step: int = PROVISION, phase: Phase = Phase.PROGRESSING, **changes: Any) -> Snapshot:
    """A rollout of version 2 over version 1, at a step that began at noon."""
    values: dict[str, Any] = {
        "id": 7,
        "phase": phase,
        "plan": plan(),
        "stable": STABLE,
        "candidate": CANDIDATE,
        "revision": 3,
        "digest": "sha256:two",
        "plan_digest": "p",
        "step": step,
        "started_at": NOON,
        "step_started_at": NOON,
        "exposed_at": NOON if AT_5 < step < PROMOTE else None,
    }
    return Snapshot(**{**values, **changes})


def ready(replicas: int = 1, restarts: int = 0) -> WorkloadStatus:
    """Servers that answer."""
    return WorkloadStatus(ready=replicas, desired=replicas, restarts=restarts)


def world(weight: int | None = 0, *, candidate: WorkloadStatus | None = None, mirror: int = 0) -> World:
    """Both versions ready, the candidate with this observed share."""
    weights = None if weight is None else {CANDIDATE: weight, STABLE: 100 - weight}
    workloads = {STABLE: ready(), CANDIDATE: candidate or ready()}
    return World(workloads=workloads, weights=weights, mirror={CANDIDATE: mirror} if mirror else {})


def judgement(verdict: Verdict, reason: str = "because") -> Judgement:
    """What the gates said."""
    gate = GateResult(name="errors", kind="error_rate", verdict=verdict, reason=reason)
    window = Window(start=NOON, end=later(5))
    return Judgement(verdict=verdict, reason=reason, gates=(gate,), at=later(5), window=window)


def seen(weight: int | None = 0, verdict: Verdict | None = None, **changes: Any) -> Observation:
    """One observation, with a judgement when a verdict is given."""
    return Observation(world(weight, **changes), judgement(verdict) if verdict else None)
