"""Gates that are kept under a name: per model and environment, every change a new version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from monitoring.domain.judge import parse_gates
from registry import audit
from registry.domain.actor import Actor
from registry.models import Model
from rollouts.errors import Conflict, Invalid, NotFound
from rollouts.models import Endpoint, Environment, GateTemplate, GateTemplateVersion

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
REFERENCE = re.compile(r"(?P<name>[^@]+)(@(?P<number>[0-9]{1,6}))?")


def save_gates(
    *,
    name: str,
    gates: Sequence[Mapping[str, Any]],
    model: Model | None = None,
    environment: Environment | None = None,
    actor: Actor,
    reason: str,
) -> GateTemplateVersion:
    """Keeps gates under a name: as version 1, or as the next version when they are new.

    The same gates again are the version that exists. Invalid has the path of a bad field; Conflict when the
    name belongs to another model or environment.
    """
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} cannot name gates.", field="name", hint="Use a-z, 0-9 and '-'.")
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason", hint="People who use the gates will read it.")
    # Written out in full, so that a later change of a default changes no version.
    complete = [gate.to_dict() for gate in parse_gates(gates)]
    with transaction.atomic():
        template, _ = GateTemplate.objects.get_or_create(
            name=name, defaults={"model": model, "environment": environment}
        )
        # The lock makes two that save at once follow each other, so that numbers have no gap.
        template = GateTemplate.objects.select_for_update().get(pk=template.pk)
        place = (model.pk if model else None, environment.pk if environment else None)
        if (template.model_id, template.environment_id) != place:
            raise Conflict(f"There are gates {name!r} for another model or environment.", field="name")
        newest = template.versions.first()
        if newest and template.archived_at is None and newest.gates == complete:
            return newest
        version = GateTemplateVersion.objects.create(
            template=template,
            number=newest.number + 1 if newest else 1,
            gates=complete,
            reason=reason.strip(),
            created_by=str(actor)[:150],
        )
        GateTemplate.objects.filter(pk=template.pk).update(archived_at=None)
        audit.record(
            actor=actor, action="gate_template.save", target=f"gates/{name}", reason=reason,
            before={"gates": newest.gates} if newest else None,
            after={"number": version.number, "gates": complete},
        )  # fmt: skip
    return version


def archive_gates(*, name: str, actor: Actor, reason: str) -> GateTemplate:
    """Puts a template away: no plan takes it any more; its versions stay readable."""
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason")
    with transaction.atomic():
        template = GateTemplate.objects.select_for_update().filter(name=name).first()
        if template is None:
            raise unknown(name)
        if template.archived_at is not None:
            raise Conflict(f"The gates {name!r} are archived already.")
        template.archived_at = timezone.now()
        template.save(update_fields=["archived_at"])
        audit.record(actor=actor, action="gate_template.archive", target=f"gates/{name}", reason=reason)
    return template


def templates(*, archived: bool = False) -> QuerySet[GateTemplate]:
    """Every template by name, with its versions, newest first."""
    newest_first = Prefetch("versions", queryset=GateTemplateVersion.objects.order_by("-number"))
    rows = GateTemplate.objects.select_related("model", "environment").prefetch_related(newest_first)
    return rows if archived else rows.filter(archived_at=None)


def template_by_name(name: str) -> GateTemplate:
    """NotFound when there is none of that name."""
    template = templates(archived=True).filter(name=name).first()
    if template is None:
        raise unknown(name)
    return template


def chosen(reference: str, endpoint: Endpoint | None = None) -> GateTemplateVersion:
    """The version that `name` (the newest) or `name@number` stands for, if it fits the endpoint."""
    rows = templates()
    if endpoint is not None:
        rows = rows.filter(
            Q(model=None) | Q(model=endpoint.model_id),
            Q(environment=None) | Q(environment=endpoint.environment_id),
        )
    parts = REFERENCE.fullmatch(reference)
    template = rows.filter(name=parts["name"]).first() if parts else None
    if parts is None or template is None:
        fitting = ", ".join(rows.values_list("name", flat=True)[:20]) or "none yet"
        where = f" fit {endpoint.name}" if endpoint else ""
        raise Invalid(f"No gates {reference[:80]!r}{where}.", field="gates", hint=f"Fitting: {fitting}.")
    found = list(template.versions.all())
    wanted = int(parts["number"]) if parts["number"] else found[0].number
    for version in found:
        if version.number == wanted:
            return version
    raise Invalid(
        f"The gates {template.name!r} have no version {wanted}.",
        field="gates",
        hint=f"The newest is {found[0].number}.",
    )


def pinned(parameters: Mapping[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    """Parameters whose `gates`, when they name a template, name its version as well."""
    if not isinstance(parameters.get("gates"), str):
        return dict(parameters)
    return {**parameters, "gates": str(chosen(parameters["gates"], endpoint))}


def filled_in(parameters: Mapping[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    """Parameters with the gates themselves where they name a template: what a plan freezes."""
    if not isinstance(parameters.get("gates"), str):
        return dict(parameters)
    return {**parameters, "gates": chosen(parameters["gates"], endpoint).gates}


def unknown(name: str) -> NotFound:
    return NotFound(f"There are no gates {name!r}.", field="gates")
