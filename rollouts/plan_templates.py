"""Plans that are kept under a name: saved, changed as new versions, found again, put away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.models import Model
from rollouts.domain.strategies import STARTABLE, compile_plan
from rollouts.errors import Conflict, Invalid, InvalidPlan, NotFound
from rollouts.gate_templates import NAME, REFERENCE
from rollouts.gate_templates import filled_in as filled_in_gates
from rollouts.models import Endpoint, Environment, PlanTemplate, PlanTemplateVersion


def save_template(
    *,
    name: str,
    strategy: str,
    parameters: Mapping[str, Any],
    model: Model | None = None,
    environment: Environment | None = None,
    actor: Actor,
    reason: str,
) -> PlanTemplateVersion:
    """Keeps a plan under a name: as version 1, or as the next version when its content is new.

    The same content again is the version that exists, so a pipeline may save at every run. InvalidPlan has
    the path of a bad parameter; Conflict when the name belongs to another model or environment.
    """
    _check(name, strategy, parameters, reason)
    with transaction.atomic():
        template, _ = PlanTemplate.objects.get_or_create(
            name=name, defaults={"model": model, "environment": environment}
        )
        # The lock makes two that save at once follow each other, so that numbers have no gap.
        template = PlanTemplate.objects.select_for_update().get(pk=template.pk)
        _check_place(template, model, environment)
        newest = template.versions.first()
        if newest and template.archived_at is None and _same(newest, strategy, parameters):
            return newest
        version = PlanTemplateVersion.objects.create(
            template=template,
            number=newest.number + 1 if newest else 1,
            strategy=strategy,
            parameters=dict(parameters),
            reason=reason.strip(),
            created_by=str(actor)[:150],
        )
        PlanTemplate.objects.filter(pk=template.pk).update(archived_at=None)
        audit.record(
            actor=actor,
            action="plan_template.save",
            target=f"templates/{name}",
            before=_document(newest),
            after=_document(version),
            reason=reason,
        )
    return version


def archive_template(*, name: str, actor: Actor, reason: str) -> PlanTemplate:
    """Puts a template away: nothing starts from it any more; its versions stay readable."""
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason")
    with transaction.atomic():
        template = PlanTemplate.objects.select_for_update().filter(name=name).first()
        if template is None:
            raise unknown(name)
        if template.archived_at is not None:
            raise Conflict(f"The plan template {name!r} is archived already.")
        template.archived_at = timezone.now()
        template.save(update_fields=["archived_at"])
        audit.record(actor=actor, action="plan_template.archive", target=f"templates/{name}", reason=reason)
    return template


def templates(*, archived: bool = False) -> QuerySet[PlanTemplate]:
    """Every template by name, with its versions, newest first."""
    rows = PlanTemplate.objects.select_related("model", "environment").prefetch_related(
        Prefetch("versions", queryset=PlanTemplateVersion.objects.order_by("-number"))
    )
    return rows if archived else rows.filter(archived_at=None)


def template_by_name(name: str) -> PlanTemplate:
    """NotFound when there is none of that name."""
    template = templates(archived=True).filter(name=name).first()
    if template is None:
        raise unknown(name)
    return template


def templates_for(endpoint: Endpoint) -> QuerySet[PlanTemplate]:
    """Those that fit the endpoint: its model or any, its environment or any."""
    return templates().filter(
        Q(model=None) | Q(model=endpoint.model_id),
        Q(environment=None) | Q(environment=endpoint.environment_id),
    )


def chosen(reference: str, endpoint: Endpoint) -> PlanTemplateVersion:
    """The version that `name` (the newest) or `name@number` stands for, if it fits the endpoint."""
    parts = REFERENCE.fullmatch(reference)
    template = templates_for(endpoint).filter(name=parts["name"]).first() if parts else None
    if parts is None or template is None:
        fitting = ", ".join(templates_for(endpoint).values_list("name", flat=True)[:20]) or "none yet"
        raise Invalid(
            f"No plan template {reference!r} fits {endpoint.name}.",
            field="template",
            hint=f"Fitting: {fitting}.",
        )
    found = list(template.versions.all())
    if parts["number"] is None:
        return found[0]
    for version in found:
        if version.number == int(parts["number"]):
            return version
    raise Invalid(
        f"The plan template {template.name!r} has no version {parts['number']}.",
        field="template",
        hint=f"The newest is {found[0].number}.",
    )


def filled_in(
    reference: str, endpoint: Endpoint, strategy: str | None, parameters: Mapping[str, Any]
) -> tuple[PlanTemplateVersion, dict[str, Any]]:
    """The chosen version, and its parameters with those that were given instead of its own."""
    version = chosen(reference, endpoint)
    if strategy and strategy != version.strategy:
        raise Invalid(
            f"The plan template {version} is a {version.strategy}, not a {strategy}.",
            field="strategy",
            hint="Leave the strategy out, or leave the template out.",
        )
    return version, {**version.parameters, **parameters}


def _check(name: str, strategy: str, parameters: Mapping[str, Any], reason: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot name a plan template.",
            field="name",
            hint="Use 1 to 53 lower-case letters, digits and '-'; begin and end with a letter or digit.",
        )
    if not reason.strip():
        raise Invalid("a reason is required.", field="reason", hint="People who start from it will read it.")
    if strategy not in STARTABLE:
        raise InvalidPlan(
            f"{strategy!r} is not a strategy.", field="strategy", hint=f"Known: {', '.join(STARTABLE)}."
        )
    compile_plan(strategy, filled_in_gates(parameters, None), replicas=1)


def _check_place(template: PlanTemplate, model: Model | None, environment: Environment | None) -> None:
    asked = (model.pk if model else None, environment.pk if environment else None)
    if (template.model_id, template.environment_id) != asked:
        raise Conflict(
            f"There is a plan template {template.name!r} for another model or environment.",
            field="name",
            hint="Choose another name.",
        )


def _same(version: PlanTemplateVersion, strategy: str, parameters: Mapping[str, Any]) -> bool:
    return version.strategy == strategy and version.parameters == dict(parameters)


def _document(version: PlanTemplateVersion | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"number": version.number, "strategy": version.strategy, "parameters": version.parameters}


def unknown(name: str) -> NotFound:
    """The error for a name that no template has."""
    return NotFound(f"There is no plan template {name!r}.", field="template")
