"""What people and pipelines can do to rollouts: one verb, one function.

Services write intent; ticks do the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import EllipsisType
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.findings import barring
from registry.domain.profile import histogram_spec
from registry.models import Version
from registry.services import set_alias
from rollouts import abilities, gate_templates, hooks, store
from rollouts.domain import commands
from rollouts.domain.phases import ACTIVE, GLASS, TERMINAL, Phase
from rollouts.domain.plan import Plan
from rollouts.domain.policy import Policy, apply_policy
from rollouts.domain.snapshot import Decision, Snapshot
from rollouts.domain.strategies import STARTABLE, compile_plan
from rollouts.domain.wording import check_name, check_reason
from rollouts.environments import create_environment as create_environment
from rollouts.environments import set_policy as set_policy
from rollouts.environments import set_target as set_target
from rollouts.errors import AlreadyRolling, Conflict, Frozen, Invalid, InvalidPlan, LostRace, WrongPhase
from rollouts.models import (
    Endpoint,
    Environment,
    PlanTemplateVersion,
    Release,
    Rollout,
    Transition,
)

# An abort races against ticks and other people; it must win, so it tries again on the newer row.
MUST_WIN = frozenset({commands.abort, commands.supersede})
ATTEMPTS = 20


def create_endpoint(
    *,
    name: str,
    environment: Environment,
    version: Version,
    replicas: int = 1,
    actor: Actor,
    reason: str = "",
) -> Endpoint:
    """A new endpoint whose first version takes all traffic as soon as it is ready."""
    check_name(name)
    if not 1 <= replicas <= 1000:
        raise Invalid(f"{replicas} is outside 1 to 1000.", field="replicas")
    try:
        with transaction.atomic():
            _hold(version)
            _check_servable(version, environment)
            endpoint = Endpoint.objects.create(
                name=name, model=version.model, environment=environment, replicas=replicas, stable=None
            )
            endpoint.stable = _release(endpoint, version, rival=None)
            endpoint.save(update_fields=["stable"])
            store.begin_tenure(endpoint, endpoint.stable, timezone.now())
            set_alias(
                model=version.model, name=environment.alias, version=version, actor=actor, reason=reason
            )
            audit.record(
                actor=actor,
                action="endpoint.create",
                target=f"endpoints/{name}",
                after={"version": version.ref, "digest": version.digest, "environment": environment.name},
                reason=reason,
            )
    except IntegrityError as error:
        raise Conflict(
            f"There is an endpoint {name!r} already, or {version.model.name} has one in {environment.name}.",
            field="name",
        ) from error
    return endpoint


def preview(*, endpoint: Endpoint, strategy: str, parameters: Mapping[str, Any]) -> Plan:
    """The plan that `start_rollout` would freeze, with the approvals that the environment asks for.

    Nothing is written. InvalidPlan names the bad parameter.
    """
    if strategy not in STARTABLE:
        raise InvalidPlan(
            f"{strategy!r} is not a strategy.", field="strategy", hint=f"Known: {', '.join(STARTABLE)}."
        )
    given = gate_templates.filled_in(parameters, endpoint)
    plan = compile_plan(strategy, given, replicas=endpoint.replicas)
    if refused := abilities.unsticky(endpoint.environment, plan):
        raise InvalidPlan(f"{refused}.", field=f"parameters.{'key' if strategy == 'ab' else 'sticky'}")
    whole = apply_policy(plan, Policy.from_dict(endpoint.environment.policy))
    hooks.check_known(whole, parameters)
    return whole


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
        if supersede and endpoint.active is not None and _is_stable(endpoint, version):
            return abort(rollout=endpoint.active, actor=actor, reason=reason)
        _check_candidate(endpoint, version)
        _check_inspection(endpoint, version)
        earlier = _earlier_success(endpoint, version)
        if not break_glass:
            _check_freeze(endpoint)
        if supersede:
            _give_way(endpoint, version, actor, reason)
        elif endpoint.active is not None or endpoint.queued is not None:
            raise _already_rolling(endpoint)
        return _begin(
            endpoint,
            version,
            strategy,
            parameters,
            plan,
            actor,
            reason,
            earlier=earlier,
            override=break_glass,
            template=template,
        )


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
        _check_served_before(endpoint, version)
    elif endpoint.previous is not None:
        version = endpoint.previous.version
    else:
        raise Conflict(
            f"{endpoint.name} keeps no previous version to go back to.",
            hint="Name a version that served here before, or start a rollout of the one you want.",
        )
    plan = compile_plan("instant", {}, replicas=endpoint.replicas)
    return _begin(endpoint, version, "instant", {}, plan, actor, reason)


def _check_served_before(endpoint: Endpoint, version: Version) -> None:
    _check_candidate(endpoint, version)
    promoted = Rollout.objects.filter(endpoint=endpoint, phase=Phase.SUCCEEDED.value)
    if (
        promoted.filter(candidate__version=version).exists()
        or promoted.filter(stable__version=version).exists()
    ):
        return
    raise Invalid(
        f"{version} never served {endpoint.name}, so there is nothing to go back to.",
        field="version",
        hint="Start a rollout of it instead.",
    )


def _give_way(endpoint: Endpoint, version: Version, actor: Actor, reason: str) -> None:
    """Sends the rollouts of the endpoint that have not ended on their way out."""
    for rollout in (endpoint.queued, endpoint.active):
        if rollout is not None:
            _command(rollout, commands.supersede, actor, f"superseded by version {version.ref}: {reason}")


def _is_stable(endpoint: Endpoint, version: Version) -> bool:
    return endpoint.stable is not None and endpoint.stable.version_id == version.pk


def pause(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Holds the rollout at its present share."""
    return _command(rollout, commands.pause, actor, reason)


def resume(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Lets a paused rollout go on."""
    return _command(rollout, commands.resume, actor, reason)


def promote(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Skips the steps before the promotion, but no approval; Conflict during a freeze."""
    if not rollout.override:
        _check_freeze(rollout.endpoint)
    return _command(rollout, commands.promote, actor, reason)


def break_glass(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """From now on neither freezes nor approvals hold this rollout."""
    return _command(rollout, commands.break_glass, actor, reason)


def abort(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Rolls back. Against any concurrent verb or tick the abort wins."""
    return _command(rollout, commands.abort, actor, reason)


def _command(
    rollout: Rollout, verb: Callable[[Snapshot, str, datetime], Decision], actor: Actor, reason: str
) -> Rollout:
    """One verb on a rollout. The verbs that must win try again on the newer row when they lose a race."""
    reason = check_reason(reason)
    for _ in range(ATTEMPTS if verb in MUST_WIN else 1):
        try:
            return _attempt(rollout, verb, actor, reason)
        except LostRace as error:
            lost = error
    raise lost


def _attempt(
    rollout: Rollout, verb: Callable[[Snapshot, str, datetime], Decision], actor: Actor, reason: str
) -> Rollout:
    now = timezone.now()
    row = Rollout.objects.select_related("endpoint", "stable__version", "candidate__version").get(
        pk=rollout.pk
    )
    loaded = store.Loaded(row.endpoint, row, store.snapshot_of(row))
    assert loaded.snapshot is not None
    decision = verb(loaded.snapshot, reason, now)
    with transaction.atomic():
        store.record(loaded, decision, actor=actor, now=now)
        audit.record(
            actor=actor,
            action=f"rollout.{verb.__name__}",
            target=f"rollouts/{row.pk}",
            before={"phase": loaded.snapshot.phase.value, "step": loaded.snapshot.step},
            after={"phase": decision.snapshot.phase.value, "step": decision.snapshot.step},
            reason=reason,
        )
    return Rollout.objects.get(pk=rollout.pk)


def _begin(
    endpoint: Endpoint,
    version: Version,
    strategy: str,
    parameters: Mapping[str, Any],
    plan: Plan,
    actor: Actor,
    reason: str,
    *,
    earlier: Rollout | None = None,
    override: bool = False,
    template: PlanTemplateVersion | None = None,
) -> Rollout:
    now = timezone.now()
    assert endpoint.stable is not None
    waits = Rollout.objects.filter(endpoint=endpoint, phase__in=sorted(ACTIVE)).exists()
    try:
        with transaction.atomic():
            rollout = Rollout.objects.create(
                endpoint=endpoint,
                stable=endpoint.stable,
                candidate=_release(endpoint, version, rival=endpoint.stable),
                strategy=strategy,
                parameters=dict(parameters),
                plan=plan.to_dict(),
                plan_digest=plan.digest,
                earlier=earlier,
                override=override,
                template=template,
                start_reason=reason,
                created_by=str(actor)[:150],
                author_id=actor.id,
                phase=(Phase.QUEUED if waits else Phase.PENDING).value,
                step_started_at=now,
                reason=reason,
            )
            _announce(rollout, actor, f"{GLASS}: {reason}" if override else reason, now)
            Endpoint.objects.filter(pk=endpoint.pk).update(
                **{"queued" if waits else "active": rollout},
                **store.asked(),
                generation=F("generation") + 1,
                look_at=now,
            )
            audit.record(
                actor=actor,
                action="rollout.break_glass" if override else "rollout.start",
                target=f"rollouts/{rollout.pk}",
                after={
                    "endpoint": endpoint.name,
                    "version": version.ref,
                    "digest": version.digest,
                    "plan": rollout.plan,
                },
                reason=reason,
            )
    except IntegrityError as error:
        raise _already_rolling(endpoint) from error
    return rollout


def _already_rolling(endpoint: Endpoint) -> AlreadyRolling:
    return AlreadyRolling(
        f"{endpoint.name} has a rollout under way.",
        hint="Roll it back, let it end, or ask for this one to supersede it.",
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


def _release(endpoint: Endpoint, version: Version, *, rival: Release | None) -> Release:
    """The release that is warm on the endpoint when it is this very artifact, else a new one.

    A new one exposes the rival's bins beside its own, so that both can be compared bin by bin.
    """
    previous = endpoint.previous
    if previous is not None and previous.version_id == version.pk and previous.digest == version.digest:
        return previous
    rivals = [rival.version.profile] if rival is not None and rival.version.profile else []
    spec = histogram_spec(version.profile, *rivals) if version.profile else {}
    # The model server takes its batch sizes from it.
    if latency := version.inspection.get("latency"):
        spec = {**spec, "latency": latency}
    return Release.objects.create(endpoint=endpoint, version=version, digest=version.digest, histograms=spec)


def _check_freeze(endpoint: Endpoint) -> None:
    freeze = store.freeze_of(endpoint.environment_id, timezone.now())
    if freeze is not None:
        raise Frozen(
            f"{endpoint.environment.name} is {freeze}.",
            hint="Wait, or break the glass with a reason if it cannot wait; rollbacks are always possible.",
        )


def _earlier_success(endpoint: Endpoint, version: Version) -> Rollout | None:
    """The newest success of this very artifact in the environment that the policy asks for."""
    wanted = Policy.from_dict(endpoint.environment.policy).after
    if not wanted:
        return None
    done = Rollout.objects.filter(
        endpoint__environment__name=wanted,
        candidate__digest=version.digest,
        phase__in=[Phase.SUCCEEDED.value, Phase.CONCLUDED.value],
    )
    earlier = done.order_by("-id").first()
    if earlier is None:
        raise Conflict(
            f"{version} has not succeeded in {wanted}, which {endpoint.environment.name} asks for.",
            field="version",
            hint=f"Roll it out in {wanted} first.",
        )
    return earlier


def _check_inspection(endpoint: Endpoint, version: Version) -> None:
    """An environment may ask that the export did not change the answers, and that certain findings are not
    there; breaking the glass does not help."""
    policy = Policy.from_dict(endpoint.environment.policy)
    if policy.parity and not version.parity:
        why = "differs from" if version.parity is False else "was never compared with"
        raise Conflict(
            f"{version} {why} the answers before its export; {endpoint.environment.name} asks for parity.",
            field="version",
            hint="Register it with a reference set that holds the expected answers, and see its findings.",
        )
    found = barring(version.findings, policy.without)
    if found:
        raise Conflict(
            f"{version} has findings that {endpoint.environment.name} does not take: {' '.join(found)[:500]}",
            field="version",
            hint="Register a version without them, or have the environment's policy changed.",
        )


def _hold(version: Version) -> None:
    """Keep the version from being deleted until this transaction has said that it is in use, and learn
    whether it was. Deleting locks the same row, and asks what uses the version after that."""
    held = Version.objects.select_for_update().filter(pk=version.pk)
    version.deleted_at = held.values_list("deleted_at", flat=True).get()


def _check_candidate(endpoint: Endpoint, version: Version) -> None:
    _hold(version)
    if version.model_id != endpoint.model_id:
        raise Invalid(
            f"{version} is not a version of the model that {endpoint.name} serves ({endpoint.model.name}).",
            field="version",
        )
    if endpoint.stable is None:
        raise Conflict(f"{endpoint.name} has no stable version yet.")
    if endpoint.stable.version_id == version.pk:
        raise Invalid(
            f"{endpoint.name} serves version {version.ref} already; a rollout needs another one.",
            field="version",
        )
    _check_servable(version, endpoint.environment)


def _check_servable(version: Version, environment: Environment) -> None:
    """Whether the environment's servers can run it, said before anything is created."""
    if version.deleted_at is not None:
        raise Invalid(f"{version} was deleted.", field="version")
    if version.unready:
        raise Invalid(f"{version} {version.unready}.", field="version", hint="Wait for its inspection.")
    refused = abilities.serves(environment).refusal(version.format, version.is_folder, version.signature)
    if refused:
        hint = f"Export it to what runs there, or give {environment.name} another runtime."
        raise Invalid(f"{version} {refused}.", field="version", hint=hint)
