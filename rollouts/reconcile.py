"""The tick: observe, decide, record, apply. Any worker may run it at any time; a crash anywhere is harmless.

Nothing is applied before it is recorded, and what is applied carries the generation that was
recorded with it, so a slow worker cannot undo what a faster one decided later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Least
from django.utils import timezone

from monitoring.adapters.cached import Question, ask_together
from monitoring.analysis import Subject, judge, questions
from monitoring.domain.judge import Judgement, parse_gates
from monitoring.ports import MetricsSource
from registry import telemetry
from registry.domain.actor import SYSTEM
from registry.errors import DomainError
from registry.ports import ArtifactStore
from rollouts import calls, store
from rollouts.domain import observed
from rollouts.domain.desired import DesiredWorld, desired_world
from rollouts.domain.looks import next_moment, window_due
from rollouts.domain.machine import decide
from rollouts.domain.plan import Approve
from rollouts.domain.snapshot import Decision, Observation, World
from rollouts.errors import LostRace, StaleWrite, WorldUnavailable
from rollouts.models import Endpoint
from rollouts.ports import Cluster, TrafficRouter

log = logging.getLogger(__name__)
# An unchanged observation is written again after this long, so that its age tells a dead tick.
OBSERVATION_AGE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything of the outside that a tick touches."""

    cluster: Cluster
    router: TrafficRouter
    metrics: MetricsSource
    artifacts: ArtifactStore


def tick(endpoint_id: int, ports: Ports, now: datetime | None = None) -> None:
    """Brings one endpoint one step nearer to what is recorded of it."""
    tick_loaded(store.load(endpoint_id), ports, now or timezone.now())


def tick_loaded(loaded: store.Loaded, ports: Ports, now: datetime) -> None:
    """The same for an endpoint that was read a moment ago: if it has changed since, nothing is recorded."""
    endpoint, rollout = loaded.endpoint, loaded.rollout
    about = {"endpoint": endpoint.name, "rollout": rollout.pk if rollout else None}
    with telemetry.step("tick", parent=endpoint.asked_by, **about):
        _tick(loaded, ports, now)


def _tick(loaded: store.Loaded, ports: Ports, now: datetime) -> None:
    endpoint_id = loaded.endpoint.pk
    if loaded.endpoint.stable is None:
        return
    if loaded.rollout is None and loaded.endpoint.queued_id and store.activate_queued(loaded.endpoint, now):
        loaded = store.load(endpoint_id)
    world = observe(loaded.endpoint.name, ports, loaded.endpoint.environment.name)
    judgement = _look(loaded, ports.metrics, now)
    if loaded.snapshot is not None:
        decision = _decide(loaded, world, judgement, now)
        try:
            store.record(loaded, decision, actor=SYSTEM, now=now, judgement=judgement)
        except LostRace:
            log.info("endpoint %s: another worker decided first", loaded.endpoint.name)
            return
        # Without an event nothing that the world is made of has changed.
        loaded = store.load(endpoint_id) if decision.events else replace(loaded, snapshot=decision.snapshot)
    _remember(loaded, world, now)
    apply(loaded, world, ports, now)


def _decide(loaded: store.Loaded, world: World, judgement: Judgement | None, now: datetime) -> Decision:
    """The decision on the world and on what is recorded: votes and answers while they are asked for, freezes.

    A freeze only takes moves away, so it is looked up when there is a move.
    """
    assert loaded.rollout is not None and loaded.snapshot is not None
    asked = isinstance(loaded.snapshot.current, Approve)
    seen = Observation(
        world,
        judgement,
        votes=store.votes(loaded.rollout) if asked else (),
        answer=calls.answer_of(loaded.rollout, loaded.snapshot),
    )
    decision = decide(loaded.snapshot, seen, now)
    freeze = store.freeze_of(loaded.endpoint.environment_id, now) if decision.events else None
    return decide(loaded.snapshot, replace(seen, freeze=freeze), now) if freeze else decision


def observe(endpoint: str, ports: Ports, environment: str = "") -> World:
    """What the cluster and the router say; a side that does not answer is marked unknown."""
    world = World()
    try:
        with telemetry.step("cluster.observe"):
            world = replace(world, workloads=ports.cluster.observe(endpoint))
    except WorldUnavailable as error:
        world = replace(world, cluster_known=False, problem=str(error))
    try:
        room = ports.cluster.room(environment)
        world = replace(world, room=room.says if room else "")
    except WorldUnavailable as error:
        world = replace(world, room=f"Whether more fits is not known: {error}")
    try:
        with telemetry.step("router.observed_route"):
            route = ports.router.observed_route(endpoint)
        return replace(world, weights=route.weights, mirror=route.mirror, preview=route.preview)
    except WorldUnavailable as error:
        return replace(world, router_known=False, problem=f"{world.problem} {error}".strip())


def asked_together(endpoint_ids: Sequence[int], ports: Ports, now: datetime) -> Ports:
    """Ports whose metrics have the answers that these endpoints' ticks at `now` will ask for.

    One request per metric family instead of some per rollout, for sources that can ask many questions at
    once; for others these are the ports as they were.
    """
    if len(endpoint_ids) < 2 or not hasattr(ports.metrics, "answer"):
        return ports
    asked: list[Question] = []
    for loaded in store.load_many(endpoint_ids):
        try:
            asked += _questions(loaded, now)
        except DomainError as error:
            # Its own tick meets the same trouble, alone.
            log.info("endpoint %s: %s", loaded.endpoint.name, error)
    return replace(ports, metrics=ask_together(ports.metrics, asked))


def _questions(loaded: store.Loaded, now: datetime) -> list[Question]:
    subject = _subject_due(loaded, now)
    if subject is None or loaded.snapshot is None:
        return []
    return questions(parse_gates(loaded.snapshot.plan.gates), subject, now)


def _look(loaded: store.Loaded, source: MetricsSource, now: datetime) -> Judgement | None:
    """The gates' judgement when a look is due."""
    subject = _subject_due(loaded, now)
    if subject is None or loaded.snapshot is None:
        return None
    with telemetry.step("metrics.judge"):
        return judge(parse_gates(loaded.snapshot.plan.gates), subject, source, now)


def _subject_due(loaded: store.Loaded, now: datetime) -> Subject | None:
    """What is to be judged now; None when no look is due."""
    snapshot, rollout = loaded.snapshot, loaded.rollout
    window = window_due(snapshot, now) if snapshot else None
    if snapshot is None or rollout is None or window is None:
        return None
    return Subject(
        endpoint=loaded.endpoint.name,
        # With all traffic on the candidate there is nothing to compare with in the same window.
        stable=None if snapshot.weight == 100 else snapshot.stable,
        candidate=snapshot.candidate,
        window=window,
        look=snapshot.looks + 1,
        windows=snapshot.plan.windows,
        profile=rollout.candidate.version.profile,
    )


def apply(loaded: store.Loaded, world: World, ports: Ports, now: datetime) -> None:
    """Asserts the desired world: servers first, since a route needs somebody who answers."""
    ready = world.weights is not None or world.workload(_stable_ref(loaded)).ready > 0
    desired = desired_world(store.endpoint_state(loaded, stable_ready=ready), loaded.snapshot)
    _attempt("cluster.apply", desired, partial(_run_servers, desired, ports))
    if desired.route is not None:
        _attempt("router.set_route", desired, partial(_set_route, loaded.endpoint, desired, ports, now))


def _set_route(endpoint: Endpoint, desired: DesiredWorld, ports: Ports, now: datetime) -> None:
    """Asserts the route; what somebody else had made of it is kept for the pages to show."""
    edit = ports.router.set_route(desired)
    if edit is None:
        return
    drift = observed.drift(edit, now)
    log.warning(
        "endpoint %s: its route is asserted again, somebody had changed it: %s", desired.endpoint, drift
    )
    with transaction.atomic():
        seen = Endpoint.objects.select_for_update().get(pk=endpoint.pk).observed or {}
        Endpoint.objects.filter(pk=endpoint.pk).update(observed={**seen, "drift": drift})


def _run_servers(desired: DesiredWorld, ports: Ports) -> None:
    ports.cluster.apply(desired, artifact_places(desired, ports.artifacts))


def _attempt(name: str, desired: DesiredWorld, write: Callable[[], None]) -> None:
    """One write to the world; what fails now is asserted again by the next tick.

    Also when an artifact cannot be found or its store is away: servers stay as they are, and the route
    is written all the same, since a rollback needs no store.
    """
    try:
        with telemetry.step(name):
            write()
    except StaleWrite:
        log.info("endpoint %s: generation %s is superseded", desired.endpoint, desired.generation)
    except DomainError as error:
        log.warning("endpoint %s: %s", desired.endpoint, error)


def artifact_places(desired: DesiredWorld, artifacts: ArtifactStore) -> dict[str, str]:
    """Where servers fetch each digest."""
    return {release.digest: artifacts.path_or_uri(release.digest) for release in desired.releases}


def _stable_ref(loaded: store.Loaded) -> str:
    assert loaded.endpoint.stable is not None
    return loaded.endpoint.stable.version.ref


def _remember(loaded: store.Loaded, world: World, now: datetime) -> None:
    """Keeps the observation for the pages, and moves the next tick to when time alone may change something.

    The observation is written only when it changed or grew old.
    """
    endpoint, changes = loaded.endpoint, dict[str, Any]()
    seen = {**observed.document(world), **observed.still_shown(endpoint.observed or {}, now)}
    if (
        seen != endpoint.observed
        or endpoint.observed_at is None
        or now - endpoint.observed_at >= OBSERVATION_AGE
    ):
        changes = {"observed": seen, "observed_at": now}
    due = next_moment(loaded.snapshot) if loaded.snapshot else None
    if due is not None and now < due < endpoint.look_at:
        # Least: a move that was recorded meanwhile asks for an even earlier tick.
        changes["look_at"] = Least("look_at", Value(due))
    if endpoint.asked_by:
        changes["asked_by"] = ""
    if changes:
        Endpoint.objects.filter(pk=endpoint.pk).update(**changes)


def retire_previous(now: datetime) -> int:
    """Forgets previous releases whose warm time is over; their servers go with the next tick."""
    cold = Endpoint.objects.filter(previous_until__lte=now)
    if not cold.exists():
        # The usual case must not take SQLite's one write lock.
        return 0
    return cold.update(previous=None, previous_until=None, generation=F("generation") + 1, look_at=now)
