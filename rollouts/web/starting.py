"""Starting a rollout: choose an endpoint, fill in the plan, see it compiled, start it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require, visible
from registry.models import Version
from registry.queries import MAX_PAGE, version_by_number, versions_page
from rollouts import abilities, plan_templates, queries, reach, services
from rollouts.domain.plan import Analyse, Approve, Hold, Plan, duration
from rollouts.models import Endpoint
from rollouts.store import freeze_of
from rollouts.web import saved_plans
from rollouts.web.door import page
from rollouts.web.forms import ChooseEndpointForm, StartForm
from rollouts.web.ladder import PlanLine, plan_lines

# Not kept when another strategy is chosen: it has its own, or the field means something else there.
OWN = frozenset({"strategy", "gates", "mirror_percent", "template"})


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan a form would start: its steps, its gates, and the shortest time it can take."""

    lines: tuple[PlanLine, ...]
    gates: tuple[str, ...]
    least: str
    promotes: bool
    asks: bool
    interval: str
    deadline: str
    unkept: str
    warnings: tuple[str, ...]


@page("GET", "HEAD", "POST", permission=Permission.START_ROLLOUT)
def new(request: HttpRequest) -> HttpResponse:
    """The form; `?endpoint=`, `?model=` and `?version=` fill in what is known already."""
    asked = request.POST.get("endpoint") or request.GET.get("endpoint", "")
    if not asked:
        return _choose(request)
    endpoint = reach.endpoint_for(request.user, asked, Permission.START_ROLLOUT)
    versions = candidates(endpoint)
    if request.method != "POST":
        return _form(request, endpoint, _fresh_form(request, endpoint, versions))
    form = typed_form(request, endpoint, versions)
    if not form.is_bound:
        return _form(request, endpoint, form)
    if "preview" not in request.POST and form.is_valid():
        if form.cleaned_data["break_glass"]:
            require(request.user, Permission.PROMOTE, endpoint.model)
        try:
            return redirect((_kept if "keep" in request.POST else _started)(request, endpoint, form))
        except DomainError as refused:
            form.blame(refused)
    return _form(request, endpoint, form)


@page("POST", permission=Permission.START_ROLLOUT)
def preview(request: HttpRequest) -> HttpResponse:
    """Fragment: the plan as the form stands now, or what is wrong with it."""
    endpoint = reach.endpoint_for(request.user, request.POST.get("endpoint", ""), Permission.START_ROLLOUT)
    form = typed_form(request, endpoint, candidates(endpoint))
    return render(request, "rollouts/_preview.html", {"preview": _preview(endpoint, form), "form": form})


@page("POST", permission=Permission.START_ROLLOUT)
def fields(request: HttpRequest) -> HttpResponse:
    """Fragment: the fields of the strategy that was chosen, with what fits of what was typed."""
    endpoint = reach.endpoint_for(request.user, request.POST.get("endpoint", ""), Permission.START_ROLLOUT)
    return render(
        request, "rollouts/_strategy.html", {"form": typed_form(request, endpoint, candidates(endpoint))}
    )


def typed_form(request: HttpRequest, endpoint: Endpoint, versions: Sequence[Version]) -> StartForm:
    """The form as typed. While its fields are those of another strategy than the chosen one (the hidden
    `fields_of` says so), a fresh form of the chosen strategy that keeps what both have."""
    strategy = request.POST.get("strategy", "")
    shown = request.POST.get("fields_of", strategy)
    if shown == strategy:
        template = saved_plans.chosen(request.POST.get("template", ""), endpoint)
        base = template.parameters if template and template.strategy == strategy else None
        form = StartForm(request.POST, versions=versions, base=base)
        form.kept = template
        return form
    kept = {name: value for name, value in request.POST.items() if name not in OWN and value}
    return StartForm(versions=versions, strategy=strategy, initial=kept)


def _fresh_form(request: HttpRequest, endpoint: Endpoint, versions: Sequence[Version]) -> StartForm:
    """The form to begin with; `?template=` fills it in."""
    template = saved_plans.chosen(request.GET.get("template", ""), endpoint)
    initial = {"version": request.GET.get("version", "")}
    if template is None:
        return StartForm(versions=versions, strategy=request.GET.get("strategy", ""), initial=initial)
    return StartForm(
        versions=versions,
        strategy=template.strategy,
        base=template.parameters,
        initial={**initial, **saved_plans.typed_values(template), "template": str(template)},
    )


def candidates(endpoint: Endpoint) -> Sequence[Version]:
    """The newest versions that a rollout here may name: those that its servers can run, without the stable
    one."""
    serves = abilities.serves(endpoint.environment)
    return [version for version in others(endpoint) if not abilities.unservable(version, serves)]


def others(endpoint: Endpoint) -> Sequence[Version]:
    """The newest versions of the model but the stable one."""
    stable = endpoint.stable.version_id if endpoint.stable else None
    return [
        version for version in versions_page(endpoint.model, limit=MAX_PAGE).items if version.pk != stable
    ]


def unoffered(endpoint: Endpoint, asked: str) -> str:
    """Why the version `asked` for is no candidate here, in a sentence; "" when it is one."""
    serves = abilities.serves(endpoint.environment)
    found = next((version for version in others(endpoint) if version.ref == asked), None)
    why = abilities.unservable(found, serves) if found else ""
    return f"v{asked} is not offered: it {why}." if why else ""


def _started(request: HttpRequest, endpoint: Endpoint, form: StartForm) -> str:
    """Starts the rollout; the address of its page."""
    template = form.kept
    rollout = services.start_rollout(
        endpoint=endpoint,
        version=version_by_number(endpoint.model, int(form.cleaned_data["version"])),
        strategy=form.cleaned_data["strategy"],
        parameters=form.parameters(),
        actor=actor_for(request),
        reason=form.cleaned_data["reason"],
        supersede=form.cleaned_data["supersede"],
        break_glass=form.cleaned_data["break_glass"],
        template=template if template and saved_plans.unchanged(template, form, endpoint) else None,
    )
    return reverse("rollouts:rollout", args=[rollout.pk])


def _kept(request: HttpRequest, endpoint: Endpoint, form: StartForm) -> str:
    """Keeps the plan as a template instead of starting it; the address of its page."""
    return reverse("rollouts:saved-plan", args=[saved_plans.keep(request, endpoint, form).name])


def _choose(request: HttpRequest) -> HttpResponse:
    """Which endpoint? Not asked when the model of `?model=` has just one."""
    model = request.GET.get("model", "")
    seen = queries.endpoints_overview().filter(
        visible(request.user, reach.TO_MODEL, Permission.START_ROLLOUT)
    )
    endpoints = [e for e in seen if not model or e.model.name == model]
    if model and len(endpoints) == 1:
        kept = {name: request.GET.get(name, "") for name in ("version", "template")}
        query = urlencode({"endpoint": endpoints[0].name, **{k: v for k, v in kept.items() if v}})
        return redirect(f"{reverse('rollouts:new')}?{query}")
    context = {
        "form": ChooseEndpointForm(endpoints=endpoints),
        "endpoints": endpoints,
        "model": model,
        "may_create": reach.may_create_endpoint(request.user, model),
        "version": request.GET.get("version", ""),
        "template": request.GET.get("template", ""),
    }
    return render(request, "rollouts/choose.html", context)


def _form(request: HttpRequest, endpoint: Endpoint, form: StartForm) -> HttpResponse:
    plan = _preview(endpoint, form)
    context = {
        "endpoint": endpoint,
        "form": form,
        "preview": plan,
        "unoffered": unoffered(endpoint, str(form["version"].value() or "")),
        "open_more": form.errs_in_more,
        "open_keep": "keep" in request.POST,
        "templates": plan_templates.templates_for(endpoint),
        "freeze": freeze_of(endpoint.environment_id, timezone.now()),
        "may_break_glass": may(request.user, Permission.PROMOTE, endpoint.model),
    }
    return render(request, "rollouts/new.html", context, status=422 if form.errors else 200)


def _preview(endpoint: Endpoint, form: StartForm) -> Preview | None:
    """The compiled plan, or None with the errors on the form."""
    if not form.readable:
        return None
    try:
        strategy, parameters = form.chosen_strategy, form.parameters()
        plan = services.preview(endpoint=endpoint, strategy=strategy, parameters=parameters)
        warnings = services.warnings(plan, _chosen(endpoint, form))
        return _shown(plan, abilities.unkept(endpoint.environment, plan), warnings)
    except DomainError as refused:
        if not form.is_bound or not any(name in form.errors for name in form.fields if name != "reason"):
            form.blame(refused)
        return None


def _chosen(endpoint: Endpoint, form: StartForm) -> Version | None:
    """The version that the form names now, if it is one."""
    number = str(form["version"].value() or "")
    offered = {ref for ref, _ in form.fields["version"].choices}  # type: ignore[attr-defined]
    return version_by_number(endpoint.model, int(number)) if number in offered and number.isdigit() else None


def _shown(plan: Plan, unkept: str, warnings: tuple[str, ...]) -> Preview:
    return Preview(
        lines=plan_lines(plan),
        gates=tuple(_gate(gate) for gate in plan.gates),
        least=duration(_until_switch(plan)),
        promotes=plan.promotes,
        asks=any(isinstance(step, Approve) for step in plan.steps),
        interval=duration(plan.interval),
        deadline=duration(plan.deadline),
        unkept=unkept,
        warnings=warnings,
    )


def _until_switch(plan: Plan) -> float:
    """Seconds until the candidate can have all traffic, or until a plan without promotion can end."""
    before = [step for at, step in enumerate(plan.steps) if plan.weight_at(at) < 100]
    return sum(step.seconds for step in before if isinstance(step, Hold | Analyse))


def _gate(gate: Any) -> str:
    """A gate specification in a line: its name, then its settings."""
    settings = [f"{key} {_value(value)}" for key, value in gate.items() if key not in {"name", "kind"}]
    return f"{gate.get('name', gate['kind'])}: {', '.join([gate['kind'].replace('_', ' '), *settings])}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "none" if value is None else str(value)
