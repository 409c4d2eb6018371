"""Between rows and values: reads snapshots, and records a decision with one compare-and-set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from monitoring.domain.judge import Judgement
from registry import telemetry
from registry.domain.actor import SYSTEM, Actor
from registry.models import Version
from registry.services import set_alias
from rollouts.domain.commands import activate
from rollouts.domain.desired import EndpointState, ReleaseSpec
from rollouts.domain.freeze import freeze_at
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import Plan
from rollouts.domain.policy import Freeze, Vote
from rollouts.domain.snapshot import Decision, Snapshot
from rollouts.errors import LostRace, NotFound
from rollouts.models import (
    Approval,
    Endpoint,
    FreezeWindow,
    Look,
    Release,
    Rollout,
    Tenure,
    Transition,
)

log = logging.getLogger(__name__)
_STATE = (
    "phase", "step", "step_started_at", "exposed_at", "last_look_at", "looks",
    "unready_since", "lapses", "rolling_back_since", "ending", "override", "reason",
)  # fmt: skip


_ENDPOINTS = Endpoint.objects.select_related("model", "environment", "active")
# What a tick reads of a version; the rest is fetched if somebody asks.
_RELEASES = Release.objects.select_related("version").only(
    "endpoint_id",
    "digest",
    "histograms",
    "version__number",
    "version__model_id",
    "version__profile",
    "version__signature",
    "version__format",
    "version__file_count",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An endpoint with its active rollout, read in one moment."""

    endpoint: Endpoint
    rollout: Rollout | None
    snapshot: Snapshot | None


def load(endpoint_id: int) -> Loaded:
    """Reads an endpoint with its active rollout in one query, so both are of one moment."""
    found = load_many([endpoint_id])
    if not found:
        raise NotFound(f"There is no endpoint {endpoint_id}.")
    return found[0]


def load_many(endpoint_ids: Sequence[int]) -> list[Loaded]:
    """Reads endpoints with their active rollouts in one query; those that do not exist are left out.

    A second query reads their releases, which never change. One query for all would join a dozen
    tables, and take the database longer to plan than both take to run.
    """
    found = _ENDPOINTS.order_by().in_bulk(endpoint_ids)
    endpoints = [found[pk] for pk in endpoint_ids if pk in found]
    _attach_releases(
        *((endpoint, ("stable", "previous")) for endpoint in endpoints),
        *((endpoint.active, ("stable", "candidate")) for endpoint in endpoints),
    )
    return [
        Loaded(endpoint, endpoint.active, snapshot_of(endpoint.active) if endpoint.active else None)
        for endpoint in endpoints
    ]


def _attach_releases(*owners: tuple[Endpoint | Rollout | None, tuple[str, str]]) -> None:
    """Fills the named relations of all owners with one query."""
    wanted = [(row, name, getattr(row, f"{name}_id")) for row, names in owners if row for name in names]
    releases = _RELEASES.order_by().in_bulk({pk for _, _, pk in wanted if pk})
    for row, name, pk in wanted:
        if pk:
            setattr(row, name, releases[pk])


def snapshot_of(rollout: Rollout) -> Snapshot:
    """The row as the value that decisions are made of."""
    return Snapshot(
        id=rollout.pk,
        phase=Phase(rollout.phase),
        plan=Plan.from_dict(rollout.plan),
        stable=rollout.stable.version.ref,
        candidate=rollout.candidate.version.ref,
        revision=rollout.revision,
        digest=rollout.candidate.digest,
        plan_digest=rollout.plan_digest,
        started_at=rollout.created_at,
        ending=Phase(rollout.ending),
        **{name: getattr(rollout, name) for name in _STATE if name not in {"phase", "ending"}},
    )


def endpoint_state(loaded: Loaded, *, stable_ready: bool) -> EndpointState:
    """The endpoint as the value that the desired world is computed from."""
    endpoint, rollout, snapshot = loaded.endpoint, loaded.rollout, loaded.snapshot
    assert endpoint.stable is not None
    return EndpointState(
        name=endpoint.name,
        model=endpoint.model.name,
        generation=endpoint.generation,
        stable=_spec(endpoint.stable, endpoint.replicas),
        previous=_spec(endpoint.previous, endpoint.replicas) if endpoint.previous else None,
        candidate=_spec(rollout.candidate, snapshot.plan.replicas) if rollout and snapshot else None,
        stable_ready=stable_ready,
        environment=endpoint.environment.name,
    )


def record(
    loaded: Loaded, decision: Decision, *, actor: Actor, now: datetime, judgement: Judgement | None = None
) -> None:
    """Writes a decision: the rollout, its events, the endpoint, all or nothing.

    Raises LostRace when another worker or request moved the rollout since it was loaded; nothing
    is written then.
    """
    rollout, before, after = loaded.rollout, loaded.snapshot, decision.snapshot
    assert rollout is not None and before is not None
    if after == before and judgement is None:
        return
    state = {name: getattr(after, name) for name in _STATE}
    if after.phase in TERMINAL:
        state["finished_at"] = now
    with transaction.atomic():
        if decision.events:
            # Everybody locks the endpoint before its rollouts, so that nobody waits in a circle.
            Endpoint.objects.select_for_update().values_list("pk").get(pk=loaded.endpoint.pk)
        won = Rollout.objects.filter(pk=before.id, revision=before.revision).update(
            **state, revision=F("revision") + 1
        )
        if not won:
            raise LostRace(
                "Somebody else changed this rollout a moment ago.", hint="Look at it again, then decide."
            )
        _append(rollout, decision, actor, now)
        if judgement is not None:
            _append_look(rollout, before.step, after.looks, judgement, now)
        _move_endpoint(loaded, decision, now)
    for event in decision.events:
        log.info(
            "rollout %s: %s -> %s, by %s: %s",
            rollout.pk, event.from_phase, event.to_phase, actor, event.reason,
            extra={"rollout": rollout.pk, "endpoint": loaded.endpoint.name, "actor": str(actor)},
        )  # fmt: skip


def activate_queued(endpoint: Endpoint, now: datetime) -> bool:
    """Begins the queued rollout against the version that is stable by now; False if it is gone."""
    with transaction.atomic():
        mine = Endpoint.objects.filter(pk=endpoint.pk, active=None, queued=endpoint.queued_id)
        if not mine.update(active=F("queued"), queued=None):
            return False
        Rollout.objects.filter(endpoint=endpoint, phase=Phase.QUEUED.value).update(stable=endpoint.stable)
        fresh = load(endpoint.pk)
        assert fresh.snapshot is not None
        decision = activate(fresh.snapshot, "the rollout before it has given the traffic back", now)
        record(fresh, decision, actor=SYSTEM, now=now)
    return True


def _append(rollout: Rollout, decision: Decision, actor: Actor, now: datetime) -> None:
    """Events get the numbers that follow the last; the compare-and-set before made us the only writer."""
    if not decision.events:
        return
    last = (
        Transition.objects.filter(rollout=rollout)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
        or 0
    )
    Transition.objects.bulk_create(
        Transition(
            rollout=rollout,
            number=last + offset,
            at=now,
            from_phase=event.from_phase,
            to_phase=event.to_phase,
            step=event.step,
            weight=event.weight,
            actor=str(actor)[:200],
            reason=event.reason,
            evidence=event.evidence,
        )
        for offset, event in enumerate(decision.events, start=1)
    )


def _append_look(rollout: Rollout, step: int, number: int, judgement: Judgement, now: datetime) -> None:
    """`step` is the one that was judged: a verdict that passes has moved the rollout to the next already."""
    Look.objects.create(
        rollout=rollout,
        number=number,
        at=now,
        step=step,
        verdict=judgement.verdict.value,
        judgement=judgement.to_dict(),
    )


def _move_endpoint(loaded: Loaded, decision: Decision, now: datetime) -> None:
    """A new generation for every decision with an event; the releases change places on promotion."""
    if not decision.events:
        return
    changes: dict[str, object] = {"generation": F("generation") + 1, "look_at": now, **asked()}
    if decision.snapshot.phase in TERMINAL:
        changes["queued" if loaded.snapshot and loaded.snapshot.phase == Phase.QUEUED else "active"] = None
    if decision.promoted and loaded.rollout is not None:
        warm = timedelta(seconds=decision.snapshot.plan.retire_after)
        changes |= {
            "stable": loaded.rollout.candidate,
            # Without a surge there is no room for servers that nobody uses.
            "previous": None if decision.snapshot.plan.no_surge else loaded.rollout.stable,
            "previous_until": None if decision.snapshot.plan.no_surge else now + warm,
        }
    Endpoint.objects.filter(pk=loaded.endpoint.pk).update(**changes)
    if decision.promoted and loaded.rollout is not None:
        begin_tenure(loaded.endpoint, loaded.rollout.candidate, now, loaded.rollout)
        _move_alias(
            loaded.endpoint, loaded.rollout.candidate.version, f"rollout {loaded.rollout.pk} succeeded"
        )


def asked() -> dict[str, str]:
    """What an endpoint remembers of the request that is under way, for the trace of the tick after it."""
    trace = telemetry.traceparent()
    return {"asked_by": trace} if trace else {}


def begin_tenure(endpoint: Endpoint, release: Release, now: datetime, rollout: Rollout | None = None) -> None:
    """From now on this release is the endpoint's stable one."""
    Tenure.objects.filter(endpoint=endpoint, end=None).update(end=now)
    Tenure.objects.create(endpoint=endpoint, release=release, rollout=rollout, start=now)


def votes(rollout: Rollout) -> tuple[Vote, ...]:
    """The answers to the rollout's present approval step."""
    rows = Approval.objects.filter(rollout=rollout, step=rollout.step).order_by("id")
    return tuple(
        Vote(
            voter=row.voter,
            approve=row.approve,
            comment=row.comment,
            digest=row.digest,
            plan_digest=row.plan_digest,
        )
        for row in rows
    )


def freeze_of(environment_id: int, now: datetime) -> Freeze | None:
    """The freeze in force in the environment, the longest if there are several."""
    windows = FreezeWindow.objects.filter(
        Q(environment=None) | Q(environment=environment_id), starts_at__lte=now, ended_at=None
    )
    found = [
        freeze_at(
            now,
            start=window.starts_at,
            duration=window.ends_at - window.starts_at,
            rule=window.rule,
            zone=window.timezone,
            reason=window.reason,
        )
        for window in windows
    ]
    return max((freeze for freeze in found if freeze), key=lambda freeze: freeze.until, default=None)


def _move_alias(endpoint: Endpoint, version: Version, reason: str) -> None:
    alias = endpoint.environment.alias
    set_alias(model=endpoint.model, name=alias, version=version, actor=SYSTEM, reason=reason)


def _spec(release: Release, replicas: int) -> ReleaseSpec:
    return ReleaseSpec(
        version=release.version.ref,
        digest=release.digest,
        replicas=replicas,
        histograms=release.histograms,
        signature=release.version.signature,
        format=release.version.format,
        folder=release.version.is_folder,
    )
