"""Rows turned into what the pages show. No queries: everything read here was loaded with the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.domain.judge import GateResult
from registry.domain.actor import SYSTEM
from rollouts.domain.phases import GLASS, TERMINAL, Phase
from rollouts.domain.plan import duration
from rollouts.models import Endpoint, Release, Rollout, Tenure, Transition
from rollouts.store import snapshot_of
from rollouts.web.gates import GateRow, gate_row
from rollouts.web.ladder import Stage, ladder, progress
from rollouts.web.look import (
    CONCLUDING,
    STRATEGIES,
    Badge,
    Share,
    elapsed_text,
    phase_badge,
    same_split,
    sentence,
    shares,
    short_digest,
)


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
class Drift:
    """A route that somebody else had changed until it was asserted again."""

    at: datetime
    by: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Intended against observed split; `in_effect` when the router was seen to do what was asked."""

    intended: tuple[Share, ...]
    observed: tuple[Share, ...]
    in_effect: bool
    mirror: int
    ready: int
    desired: int
    servers: tuple[Servers, ...]
    problem: str
    at: datetime | None
    drift: Drift | None = None


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
    stable_digest: str
    candidate_digest: str
    reason: str
    cause: str
    author: str
    over: bool
    took: str
    interval: str
    strategy: str


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint with its traffic and, while there is one, its active rollout.

    `warm_until` is when the previous version's servers are removed; None when they are gone.
    """

    endpoint: Endpoint
    stable: str | None
    digest: str
    warm_until: datetime | None
    traffic: Traffic
    active: RolloutView | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One transition; `before` is None when only the step changed, or nothing was before."""

    id: int
    at: datetime
    before: Badge | None
    badge: Badge
    weight: int
    actor: str
    reason: str
    gates: tuple[GateRow, ...]


def rollout_views(rollouts: Sequence[Rollout], causes: Mapping[int, str], now: datetime) -> list[RolloutView]:
    """Rollouts as of `now`, each with the cause of its rollback when it had one."""
    return [rollout_view(rollout, now, causes.get(rollout.pk, "")) for rollout in rollouts]


def rollout_view(rollout: Rollout, now: datetime, cause: str = "") -> RolloutView:
    """The rollout as of `now`; `cause` is why it was rolled back."""
    snapshot = snapshot_of(rollout)
    over = snapshot.phase in TERMINAL
    concluding = snapshot.phase is Phase.ROLLING_BACK and snapshot.ending is Phase.CONCLUDED
    end = rollout.finished_at or now
    elapsed = (end - snapshot.step_started_at).total_seconds()
    stages = ladder(snapshot.plan, index=snapshot.step, phase=snapshot.phase, elapsed=max(0.0, elapsed))
    return RolloutView(
        rollout=rollout,
        badge=CONCLUDING if concluding else phase_badge(snapshot.phase),
        stages=stages,
        progress=progress(stages),
        weight=snapshot.weight,
        stable=snapshot.stable,
        candidate=snapshot.candidate,
        stable_digest=short_digest(rollout.stable.digest),
        candidate_digest=short_digest(rollout.candidate.digest),
        reason=_present_reason(rollout),
        cause=sentence(cause),
        author=rollout.created_by.partition(" (")[0],
        over=over,
        took=elapsed_text((end - rollout.created_at).total_seconds()),
        interval=duration(snapshot.plan.interval),
        strategy=STRATEGIES.get(rollout.strategy, rollout.strategy),
    )


def endpoint_view(endpoint: Endpoint, now: datetime) -> EndpointView:
    """The endpoint as of its last observation."""
    active = endpoint.active
    warm = endpoint.previous and endpoint.previous_until and endpoint.previous_until > now
    return EndpointView(
        endpoint=endpoint,
        stable=release_ref(endpoint.stable),
        digest=short_digest(endpoint.stable.digest) if endpoint.stable else "",
        warm_until=endpoint.previous_until if warm else None,
        traffic=traffic(endpoint, active),
        active=rollout_view(active, now) if active else None,
    )


@dataclass(frozen=True, slots=True)
class TenureView:
    """A stretch of time in which one version was stable; `back` when one can go back to it from here."""

    tenure: Tenure
    ref: str
    digest: str
    took: str
    back: bool


def tenure_views(tenures: Iterable[Tenure], stable: str | None, now: datetime) -> list[TenureView]:
    """Tenures, newest first; the newest one of each version that is not stable now can be gone back to."""
    views: list[TenureView] = []
    met = {stable}
    for tenure in tenures:
        ref = tenure.release.version.ref
        views.append(
            TenureView(
                tenure=tenure,
                ref=ref,
                digest=short_digest(tenure.release.digest),
                took=elapsed_text(((tenure.end or now) - tenure.start).total_seconds()),
                back=ref not in met and tenure.release.version.deleted_at is None,
            )
        )
        met.add(ref)
    return views


def traffic(endpoint: Endpoint, active: Rollout | None) -> Traffic:
    """Where the endpoint's requests should go and where they were last seen to go."""
    snapshot = snapshot_of(active) if active else None
    stable = snapshot.stable if snapshot else release_ref(endpoint.stable)
    candidate = snapshot.candidate if snapshot else None
    intended: dict[str, float] = {stable: 100 - (snapshot.weight if snapshot else 0)} if stable else {}
    if snapshot:
        intended[snapshot.candidate] = snapshot.weight
    seen: Mapping[str, Any] = endpoint.observed or {}
    observed: Mapping[str, float] = seen.get("weights") or {}
    servers = tuple(_servers(seen.get("workloads") or {}, stable, candidate))
    return Traffic(
        intended=shares(intended, stable=stable, candidate=candidate),
        observed=shares(observed, stable=stable, candidate=candidate),
        in_effect=same_split(intended, observed),
        mirror=snapshot.mirror if snapshot else 0,
        ready=sum(version.ready for version in servers),
        desired=sum(version.desired for version in servers),
        servers=servers,
        problem=str(seen.get("problem") or ""),
        at=endpoint.observed_at,
        drift=_drift(seen.get("drift"), stable=stable, candidate=candidate),
    )


def _drift(found: Mapping[str, Any] | None, *, stable: str | None, candidate: str | None) -> Drift | None:
    if not found:
        return None
    return Drift(
        at=datetime.fromisoformat(found["at"]),
        by=found["by"],
        shares=shares(found["weights"] or {}, stable=stable, candidate=candidate),
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
            before=_before(transition),
            badge=phase_badge(transition.to_phase),
            weight=transition.weight,
            actor=transition.actor,
            reason=_said(transition),
            gates=gate_rows(transition.evidence),
        )
        for transition in transitions
    )


def _present_reason(rollout: Rollout) -> str:
    """Why it is where it is; before anything happened that is what the person wrote who started it."""
    return rollout.reason if rollout.reason == rollout.start_reason else sentence(rollout.reason)


def _said(transition: Transition) -> str:
    """The reason, in a person's own words where a person gave it."""
    own = transition.actor == str(SYSTEM) or transition.reason.startswith(GLASS)
    return sentence(transition.reason) if own else transition.reason


def _before(transition: Transition) -> Badge | None:
    moved = transition.from_phase and transition.from_phase != transition.to_phase
    return phase_badge(transition.from_phase) if moved else None


def gate_rows(judgement: Mapping[str, Any] | None) -> tuple[GateRow, ...]:
    """The gates of a recorded judgement; none when there is none."""
    gates = (judgement or {}).get("gates") or ()
    return tuple(gate_row(GateResult.from_dict(gate)) for gate in gates)


def release_ref(release: Release | None) -> str | None:
    """The version reference of a release."""
    return release.version.ref if release else None


def is_over(rollout: Rollout) -> bool:
    """Whether the rollout reached a phase that never changes."""
    return Phase(rollout.phase) in TERMINAL
