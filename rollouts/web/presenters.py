"""Rows turned into what the pages show. No queries: everything read here was loaded with the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.domain.judge import GateResult
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import Plan, duration
from rollouts.models import Endpoint, Release, Rollout, Transition
from rollouts.store import snapshot_of
from rollouts.web.gates import GateRow, gate_row
from rollouts.web.ladder import Stage, ladder, progress
from rollouts.web.look import Badge, Share, phase_badge, same_split, shares


@dataclass(frozen=True, slots=True)
class Servers:
    """One version's servers on an endpoint, as the last tick saw them."""

    ref: str
    role: str
    ready: int
    desired: int
    restarts: int
    badge: Badge
    message: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Intended against observed split; `in_effect` when the router was seen to do what was asked."""

    intended: tuple[Share, ...]
    observed: tuple[Share, ...]
    in_effect: bool
    mirror: int
    servers: tuple[Servers, ...]
    problem: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout in a list, in a header and in a card."""

    rollout: Rollout
    badge: Badge
    stages: tuple[Stage, ...]
    progress: float
    weight: int
    stable: str
    candidate: str
    over: bool
    took: str


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint with its traffic and, while there is one, its active rollout."""

    endpoint: Endpoint
    stable: str | None
    traffic: Traffic
    active: RolloutView | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One transition; `moved` when the phase changed and not only the step."""

    id: int
    at: datetime
    moved: bool
    before: Badge
    badge: Badge
    weight: int
    actor: str
    reason: str
    gates: tuple[GateRow, ...]


def rollout_view(rollout: Rollout, now: datetime) -> RolloutView:
    """The rollout as of `now`."""
    snapshot = snapshot_of(rollout)
    over = snapshot.phase in TERMINAL
    end = rollout.finished_at or now
    elapsed = (end - snapshot.step_started_at).total_seconds()
    stages = ladder(snapshot.plan, index=snapshot.step, phase=snapshot.phase, elapsed=max(0.0, elapsed))
    return RolloutView(
        rollout=rollout,
        badge=phase_badge(snapshot.phase),
        stages=stages,
        progress=progress(stages),
        weight=snapshot.weight,
        stable=snapshot.stable,
        candidate=snapshot.candidate,
        over=over,
        took=duration(round((end - rollout.created_at).total_seconds())),
    )


def endpoint_view(endpoint: Endpoint, active: Rollout | None, now: datetime) -> EndpointView:
    """The endpoint as of its last observation."""
    stable = release_ref(endpoint.stable)
    view = rollout_view(active, now) if active else None
    return EndpointView(endpoint, stable, traffic(endpoint, active), view)


def traffic(endpoint: Endpoint, active: Rollout | None) -> Traffic:
    """Where the endpoint's requests should go and where they were last seen to go."""
    stable = release_ref(endpoint.stable)
    snapshot = snapshot_of(active) if active else None
    candidate = snapshot.candidate if snapshot else None
    intended: dict[str, float] = {stable: 100 - (snapshot.weight if snapshot else 0)} if stable else {}
    if snapshot:
        intended[snapshot.candidate] = snapshot.weight
    seen: Mapping[str, Any] = endpoint.observed or {}
    observed: Mapping[str, float] = seen.get("weights") or {}
    return Traffic(
        intended=shares(intended, stable=stable, candidate=candidate),
        observed=shares(observed, stable=stable, candidate=candidate),
        in_effect=same_split(intended, observed),
        mirror=snapshot.mirror if snapshot else 0,
        servers=tuple(_servers(seen.get("workloads") or {}, stable, candidate)),
        problem=str(seen.get("problem") or ""),
        at=endpoint.observed_at,
    )


def _servers(workloads: Mapping[str, Any], stable: str | None, candidate: str | None) -> Iterable[Servers]:
    for ref in sorted(workloads, key=lambda ref: (ref != stable, ref != candidate, ref)):
        status = workloads[ref]
        role = "stable" if ref == stable else "candidate" if ref == candidate else "baseline"
        yield Servers(
            ref=ref,
            role=role,
            ready=status["ready"],
            desired=status["desired"],
            restarts=status["restarts"],
            badge=_health(status),
            message=status.get("message") or "",
        )


def _health(status: Mapping[str, Any]) -> Badge:
    if status["failed"]:
        return Badge("Failed", "fail")
    if status["ready"] >= status["desired"] > 0:
        return Badge("Ready", "pass")
    return Badge("Starting", "hold") if status["desired"] else Badge("Stopping", "muted")


def timeline(transitions: Iterable[Transition]) -> tuple[TimelineEntry, ...]:
    """Transitions as entries, in the order given."""
    return tuple(
        TimelineEntry(
            id=transition.pk,
            at=transition.at,
            moved=transition.from_phase != transition.to_phase,
            before=phase_badge(transition.from_phase),
            badge=phase_badge(transition.to_phase),
            weight=transition.weight,
            actor=transition.actor,
            reason=sentence(transition.reason),
            gates=gate_rows(transition.evidence),
        )
        for transition in transitions
    )


def gate_rows(judgement: Mapping[str, Any] | None) -> tuple[GateRow, ...]:
    """The gates of a recorded judgement; none when there is none."""
    gates = (judgement or {}).get("gates") or ()
    return tuple(gate_row(GateResult.from_dict(gate)) for gate in gates)


def release_ref(release: Release | None) -> str | None:
    """The version reference of a release."""
    return release.version.ref if release else None


def plan_of(rollout: Rollout) -> Plan:
    """The frozen plan."""
    return Plan.from_dict(rollout.plan)


def is_over(rollout: Rollout) -> bool:
    """Whether the rollout reached a phase that never changes."""
    return Phase(rollout.phase) in TERMINAL


def sentence(text: str) -> str:
    """The text with a capital first letter, as it stands alone on the page."""
    return text[:1].upper() + text[1:]
