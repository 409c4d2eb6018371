"""Rollouts that begin: a new one, one again, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import EllipsisType
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.models import Version
from rollouts import abilities, gate_templates, hooks, store
from rollouts.domain.foresight import undecidable
from rollouts.domain.phases import ACTIVE, GLASS, TERMINAL, Phase
from rollouts.domain.plan import Plan
from rollouts.domain.policy import Policy, apply_policy
from rollouts.domain.strategies import STARTABLE, check_startable, compile_plan
from rollouts.domain.wording import check_reason
from rollouts.errors import AlreadyRolling, Conflict, InvalidPlan, WrongPhase
from rollouts.models import Endpoint, PlanTemplateVersion, Rollout, Transition
from rollouts.services.admission import (
    check_candidate,
    check_freeze,
    check_inspection,
    check_served_before,
    earlier_success,
)
from rollouts.services.endpoints import release_of
from rollouts.services.steering import abort, give_way


def preview(*, endpoint: Endpoint, strategy: str, parameters: Mapping[str, Any]) -> Plan:
    """The plan that `start_rollout` would freeze, with the approvals that the environment asks for.

    Nothing is written. InvalidPlan names the bad parameter.
    """
    check_startable(strategy)
    given = gate_templates.filled_in(parameters, endpoint)
    plan = compile_plan(strategy, given, replicas=endpoint.replicas)
    if refused := abilities.unsticky(endpoint.environment, plan):
        raise InvalidPlan(f"{refused}.", field=f"parameters.{'key' if strategy == 'ab' else 'sticky'}")
    whole = apply_policy(plan, Policy.from_dict(endpoint.environment.policy))
    hooks.check_known(whole, parameters)
    return whole


def warnings(plan: Plan, version: Version | None) -> tuple[str, ...]:
    """What of this plan can never go well for the version, in sentences; nothing without a version."""
    return undecidable(plan, version.profile) if version else ()


def start_rollout(
    *,
    endpoint: Endpoint,
    version: Version,
    strategy: str,
    parameters: Mapping[str, Any],
    actor: Actor,
    reason: str,
    supersede: bool = False,
    break_glass: bool = False,
    template: PlanTemplateVersion | None = None,
) -> Rollout:
    """Starts moving the endpoint to `version`; its digest and the compiled plan are pinned now.

    supersede: while another rollout is under way, that one gives the traffic back first and this one
    follows; asking for the stable version then is simply a rollback. break_glass: neither a freeze nor
    an approval holds this rollout; the timeline and the audit trail say who decided so. template: the named
    plan that the parameters come from, kept for whoever asks.
    Raises Invalid for a version of another model or the one that is stable already, InvalidPlan for a bad
    parameter, AlreadyRolling while another rollout of the endpoint is under way.
    """
    reason = check_reason(reason)
    parameters = gate_templates.pinned(parameters, endpoint)
    plan = preview(endpoint=endpoint, strategy=strategy, parameters=parameters)
    with transaction.atomic():
        endpoint = _locked(endpoint)
        if supersede and endpoint.active is not None and endpoint.serves(version):
            return abort(rollout=endpoint.active, actor=actor, reason=reason)
        check_candidate(endpoint, version)
        check_inspection(endpoint, version)
        earlier = earlier_success(endpoint, version)
        if not break_glass:
            check_freeze(endpoint)
        if supersede:
            give_way(endpoint, version, actor, reason)
        elif endpoint.active is not None or endpoint.queued is not None:
            raise _already_rolling(endpoint)
        wish = Wish(version, strategy, parameters, plan, reason, earlier, break_glass, template)
        return _begin(endpoint, wish, actor)


def retry(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """The same version with the same parameters once more, after a rollout that did not succeed."""
    if Phase(rollout.phase) not in TERMINAL - {Phase.SUCCEEDED}:
        raise WrongPhase(
            f"Rollout {rollout.pk} is {rollout.phase.replace('_', ' ')}; only one that ended without success "
            "can be retried."
        )
    if rollout.strategy not in STARTABLE:
        raise WrongPhase("A rollback is not retried.", hint="Roll back the endpoint again instead.")
    return start_rollout(
        endpoint=rollout.endpoint,
        version=rollout.candidate.version,
        strategy=rollout.strategy,
        parameters=rollout.parameters,
        actor=actor,
        reason=reason,
        template=rollout.template,
    )


def rollback_endpoint(
    *,
    endpoint: Endpoint,
    actor: Actor,
    reason: str,
    version: Version | None = None,
    seen_active: int | None | EllipsisType = ...,
) -> Rollout:
    """Back at once: aborts the active rollout, or else moves all traffic to an earlier release.

    Without a version that is the previous one, which is kept warm; any version that served here before
    may be named. seen_active: the active rollout (None: none) that the person was shown; Conflict when
    another one is active by now, since going back would then mean something else.
    """
    reason = check_reason(reason)
    with transaction.atomic():
        endpoint = _locked(endpoint)
        if seen_active is not ... and endpoint.active_id != seen_active:
            raise Conflict(
                f"A rollout of {endpoint.name} began or ended since you were asked.",
                hint="Look at the endpoint again, then decide.",
            )
        if endpoint.active is None:
            return _back(endpoint, version, actor, reason)
    return abort(rollout=endpoint.active, actor=actor, reason=reason)


def _back(endpoint: Endpoint, version: Version | None, actor: Actor, reason: str) -> Rollout:
    if version is not None:
        check_served_before(endpoint, version)
    elif endpoint.previous is not None:
        version = endpoint.previous.version
    else:
        raise Conflict(
            f"{endpoint.name} keeps no previous version to go back to.",
            hint="Name a version that served here before, or start a rollout of the one you want.",
        )
    plan = compile_plan("instant", {}, replicas=endpoint.replicas)
    return _begin(endpoint, Wish(version, "instant", {}, plan, reason), actor)


@dataclass(frozen=True)
class Wish:
    """What was asked for and found to be possible; `parameters` as given, `plan` as frozen."""

    version: Version
    strategy: str
    parameters: Mapping[str, Any]
    plan: Plan
    reason: str
    earlier: Rollout | None = None
    override: bool = False
    template: PlanTemplateVersion | None = None


def _begin(endpoint: Endpoint, wish: Wish, actor: Actor) -> Rollout:
    """The rollout's row, its first entry and the audit's; it waits in the queue while another ends."""
    now = timezone.now()
    waits = Rollout.objects.filter(endpoint=endpoint, phase__in=sorted(ACTIVE)).exists()
    try:
        with transaction.atomic():
            rollout = _create(endpoint, wish, actor, Phase.QUEUED if waits else Phase.PENDING, now)
            _announce(rollout, actor, f"{GLASS}: {wish.reason}" if wish.override else wish.reason, now)
            Endpoint.objects.filter(pk=endpoint.pk).update(
                **{"queued" if waits else "active": rollout},
                **store.asked(),
                generation=F("generation") + 1,
                look_at=now,
            )
            audit.record(
                actor=actor,
                action="rollout.break_glass" if wish.override else "rollout.start",
                target=f"rollouts/{rollout.pk}",
                after={
                    "endpoint": endpoint.name,
                    "version": wish.version.ref,
                    "digest": wish.version.digest,
                    "plan": rollout.plan,
                },
                reason=wish.reason,
            )
    except IntegrityError as error:
        raise _already_rolling(endpoint) from error
    return rollout


def _create(endpoint: Endpoint, wish: Wish, actor: Actor, phase: Phase, now: datetime) -> Rollout:
    assert endpoint.stable is not None
    return Rollout.objects.create(
        endpoint=endpoint,
        stable=endpoint.stable,
        candidate=release_of(endpoint, wish.version, rival=endpoint.stable),
        strategy=wish.strategy,
        parameters=dict(wish.parameters),
        plan=wish.plan.to_dict(),
        plan_digest=wish.plan.digest,
        earlier=wish.earlier,
        override=wish.override,
        template=wish.template,
        start_reason=wish.reason,
        created_by=str(actor)[:150],
        author_id=actor.id,
        phase=phase.value,
        step_started_at=now,
        reason=wish.reason,
    )


def _locked(endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is now, with its row held until the transaction ends.

    Locked first and read after: what PostgreSQL joins to a row that it had to wait for is older than the
    row, so one query could miss a rollout that began meanwhile.
    """
    rows = Endpoint.objects.filter(pk=endpoint.pk)
    rows.select_for_update().values_list("pk").get()
    return rows.select_related("model", "environment", "stable__version", "active", "queued").get()


def _announce(rollout: Rollout, actor: Actor, reason: str, now: datetime) -> None:
    """The timeline's first entry: who asked for it and why."""
    Transition.objects.create(
        rollout=rollout,
        number=1,
        at=now,
        from_phase="",
        to_phase=rollout.phase,
        step=0,
        weight=0,
        actor=str(actor)[:200],
        reason=reason,
    )


def _already_rolling(endpoint: Endpoint) -> AlreadyRolling:
    return AlreadyRolling(
        f"{endpoint.name} has a rollout under way.",
        hint="Roll it back, let it end, or ask for this one to supersede it.",
    )
