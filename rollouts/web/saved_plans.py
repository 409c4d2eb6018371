"""Plan templates: the list, one with its versions, keeping a plan, putting one away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, may_anywhere, require
from rollouts import gate_templates, plan_templates, reach
from rollouts.domain.plan import Plan
from rollouts.domain.strategies import compile_plan
from rollouts.errors import NotFound
from rollouts.models import Endpoint, PlanTemplate, PlanTemplateVersion
from rollouts.web.archiving import ask_to_archive
from rollouts.web.door import page
from rollouts.web.forms import StartForm
from rollouts.web.ladder import plan_lines
from rollouts.web.look import STRATEGIES
from rollouts.web.verbs import Deed


@page()
def plan_list(request: HttpRequest) -> HttpResponse:
    """Every template that is not archived, and on request those that are."""
    archived = request.GET.get("archived") == "1"
    shown = reach.shown_templates(request.user)
    rows = [(row, row.versions.all()[0]) for row in plan_templates.templates(archived=archived).filter(shown)]
    context = {
        "templates": [(row, newest, STRATEGIES[newest.strategy]) for row, newest in rows],
        "may_start": may_anywhere(request.user, Permission.START_ROLLOUT),
    }
    return render(request, "rollouts/saved_plans.html", {**context, "archived": archived})


@page()
def plan(request: HttpRequest, name: str) -> HttpResponse:
    """One template: every version with its steps and its parameters."""
    template = reach.template_for(request.user, name)
    context = {
        "template": template,
        "versions": [_view(version) for version in template.versions.all()],
        "may_change": may(request.user, Permission.START_ROLLOUT, template.model)
        and template.archived_at is None,
    }
    return render(request, "rollouts/saved_plan.html", context)


@page("GET", "HEAD", "POST", permission=Permission.START_ROLLOUT)
def archive(request: HttpRequest, name: str) -> HttpResponse:
    """Asks for a reason, then puts the template away."""
    template = reach.template_for(request.user, name, Permission.START_ROLLOUT)
    back = reverse("rollouts:saved-plan", args=[name])
    deed = Deed(
        title=f"Archive {template.name}",
        summary="Nothing can be started from it any more.",
        consequences=(
            "Rollouts that were started from it go on as they are: each has its own copy of the plan.",
            "Its versions stay readable; saving a plan under the same name brings it back.",
        ),
    )
    return ask_to_archive(request, name, deed, plan_templates.archive_template, back, "the template")


def keep(request: HttpRequest, endpoint: Endpoint, form: StartForm) -> PlanTemplate:
    """Keeps the plan on the start form under the name that was typed."""
    place = form.cleaned_data["keep_for"]
    require(request.user, Permission.START_ROLLOUT, endpoint.model if "model" in place else None)
    version = plan_templates.save_template(
        name=form.cleaned_data["keep_as"],
        strategy=form.chosen_strategy,
        parameters=form.parameters(),
        model=endpoint.model if "model" in place else None,
        environment=endpoint.environment if "environment" in place else None,
        actor=actor_for(request),
        reason=form.cleaned_data["reason"],
    )
    return version.template


def chosen(reference: str, endpoint: Endpoint) -> PlanTemplateVersion | None:
    """The version that the address or the form names; NotFound when none of that name fits the endpoint."""
    if not reference:
        return None
    try:
        return plan_templates.chosen(reference, endpoint)
    except DomainError as error:
        raise NotFound(error.message, hint=error.hint) from error


def typed_values(version: PlanTemplateVersion) -> dict[str, Any]:
    """The template's parameters as somebody would type them into the start form."""
    if version.strategy == "custom":
        return {"plan": _yaml(version.parameters)}
    return {name: _typed(value) for name, value in version.parameters.items()}


def unchanged(version: PlanTemplateVersion, form: StartForm, endpoint: Endpoint) -> bool:
    """Whether the form still compiles to what the template compiles to."""
    as_kept = _compiled(version.strategy, version.parameters, endpoint)
    typed = form.chosen_strategy, form.parameters()
    return typed[0] == version.strategy and _compiled(*typed, endpoint) == as_kept


def _compiled(strategy: str, parameters: Mapping[str, Any], endpoint: Endpoint | None) -> Plan:
    filled = gate_templates.filled_in(parameters, endpoint)
    return compile_plan(strategy, filled, replicas=endpoint.replicas if endpoint else 1)


def _typed(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return ", ".join(map(str, value))
    if isinstance(value, dict) and value.keys() & {"header", "cookie"}:
        by = "cookie" if "cookie" in value else "header"
        return f"{by}:{value[by]}" + (f"={value['value']}" if "value" in value else "")
    return json.dumps(value, indent=1) if isinstance(value, list | dict) else value


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)


def _view(version: PlanTemplateVersion) -> dict[str, Any]:
    compiled = _compiled(version.strategy, version.parameters, None)
    return {
        "row": version,
        "strategy": STRATEGIES[version.strategy],
        "lines": plan_lines(compiled),
        "text": _yaml(version.parameters),
    }
