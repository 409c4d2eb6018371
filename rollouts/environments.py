"""Environments: where their endpoints live, and what they ask of rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from registry import audit
from registry.domain.actor import Actor
from registry.domain.names import CHAMPION, alias_name
from rollouts import targets
from rollouts.domain.policy import Policy
from rollouts.domain.wording import check_name, check_reason
from rollouts.errors import Conflict, Invalid
from rollouts.models import Environment


def create_environment(
    *,
    name: str,
    alias: str = "",
    target: str = targets.DEFAULT,
    policy: Mapping[str, Any] | None = None,
    actor: Actor,
) -> Environment:
    """A new environment; Conflict when the name is taken, InvalidPlan for a bad policy, Invalid for a target
    that the settings do not name.

    alias follows the stable version of each of its endpoints: "champion" for production, else the
    environment's name, unless given.
    """
    Policy.from_dict(policy or {})
    check_name(name)
    _check_target(target)
    alias = alias_name(alias or (CHAMPION if name == "production" else name))
    with transaction.atomic():
        environment, created = Environment.objects.get_or_create(
            name=name, defaults={"alias": alias, "target": target, "policy": dict(policy or {})}
        )
        if not created:
            raise Conflict(f"There is an environment {name!r} already.", field="name")
        audit.record(
            actor=actor, action="environment.create", target=f"environments/{name}", after={"target": target}
        )
    return environment


def set_target(*, environment: Environment, target: str, actor: Actor, reason: str) -> Environment:
    """Where the environment's endpoints will live. Conflict once it has some: they would stay behind."""
    reason = check_reason(reason)
    _check_target(target)
    with transaction.atomic():
        row = Environment.objects.select_for_update().get(pk=environment.pk)
        if row.target == target:
            return row
        if row.endpoints.exists():
            raise Conflict(
                f"{row.name} has endpoints, and their servers live on {row.target}.",
                field="target",
                hint="Create an environment on the other target and release there.",
            )
        before, row.target = row.target, target
        row.save(update_fields=["target"])
        audit.record(
            actor=actor,
            action="environment.target",
            target=f"environments/{row.name}",
            before={"target": before},
            after={"target": target},
            reason=reason,
        )
    return row


def set_policy(
    *, environment: Environment, policy: Mapping[str, Any], actor: Actor, reason: str
) -> Environment:
    """Replaces what the environment asks of rollouts that start from now on; running ones keep theirs."""
    reason = check_reason(reason)
    Policy.from_dict(policy)
    with transaction.atomic():
        row = Environment.objects.select_for_update().get(pk=environment.pk)
        before, row.policy = row.policy, dict(policy)
        row.save(update_fields=["policy"])
        audit.record(
            actor=actor,
            action="environment.policy",
            target=f"environments/{row.name}",
            before=before,
            after=row.policy,
            reason=reason,
        )
    return row


def _check_target(name: str) -> None:
    if targets.find(name) is None:
        known = ", ".join(targets.targets())
        raise Invalid(f"There is no target {name!r}.", field="target", hint=f"There is: {known}.")
