"""Gates under a name: the list, one with its versions, keeping some, and trying them on what was."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from monitoring.domain.judge import DEFAULT_GATES, parse_gates
from monitoring.wiring import metrics_source
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require, visible
from registry.models import Model
from registry.queries import model_by_name
from registry.web.door import explain
from rollouts import dry_run, gate_templates, queries, reach
from rollouts.models import Endpoint
from rollouts.web.archiving import ask_to_archive
from rollouts.web.door import page
from rollouts.web.look import phase_badge, sentence, verdict_badge
from rollouts.web.verbs import Deed

DAYS = ((1, "the last day"), (7, "the last week"), (30, "the last month"), (90, "the last three months"))


class GatesForm(forms.Form):
    """Gates as JSON under a name."""

    name = forms.CharField(max_length=53, help_text="Such as strict: a-z, 0-9 and dashes.")
    gates = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 14, "class": "mono", "spellcheck": "false"}),
        label="Gates (JSON)",
    )
    model = forms.ChoiceField(required=False)
    environment = forms.ChoiceField(required=False)
    reason = forms.CharField(max_length=2000)

    def __init__(self, *args: Any, models: list[str], environments: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, found in (("model", models), ("environment", environments)):
            field: Any = self.fields[name]
            field.choices = [("", "any"), *((item, item) for item in found)]

    def clean_gates(self) -> Any:
        try:
            return json.loads(self.cleaned_data["gates"])
        except RecursionError as error:
            raise forms.ValidationError("It is nested too deeply.") from error
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error


class DryRunForm(forms.Form):
    """On which endpoint, and how far back."""

    endpoint = forms.ChoiceField()
    days = forms.TypedChoiceField(choices=DAYS, coerce=int, initial=30, label="Over")

    def __init__(self, *args: Any, endpoints: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["endpoint"]
        field.choices = [(name, name) for name in endpoints]


@page()
def gate_list(request: HttpRequest) -> HttpResponse:
    """Every template that is not archived, and on request those that are."""
    archived = request.GET.get("archived") == "1"
    rows = gate_templates.templates(archived=archived).filter(reach.shown_templates(request.user))
    context = {
        "templates": [(row, row.versions.all()[0]) for row in rows],
        "may_change": may(request.user, Permission.START_ROLLOUT),
        "archived": archived,
    }
    return render(request, "rollouts/gate_templates.html", context)


@page("GET", "HEAD", "POST", permission=Permission.START_ROLLOUT)
def new_gates(request: HttpRequest) -> HttpResponse:
    """The form of new gates, or of a new version of some."""
    first = {"gates": json.dumps(list(DEFAULT_GATES), indent=1)}
    if name := request.GET.get("of"):
        template = reach.gates_for(request.user, name)
        newest = template.versions.all()[0]
        first = {
            "name": name, "gates": json.dumps(newest.gates, indent=1),
            "model": template.model.name if template.model else "",
            "environment": template.environment.name if template.environment else "",
        }  # fmt: skip
    form = GatesForm(
        request.POST if request.method == "POST" else None,
        initial=first,
        models=list(
            Model.objects.filter(visible(request.user), deleted_at=None).values_list("name", flat=True)
        ),
        environments=[row.name for row in queries.environments()],
    )
    if request.method == "POST" and form.is_valid():
        try:
            version = _save(request, form.cleaned_data)
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, f"{version} is kept.")
            return redirect("rollouts:gate-template", name=version.template.name)
    status = 400 if form.errors else 200
    return render(request, "rollouts/gate_template_new.html", {"form": form}, status=status)


def _save(request: HttpRequest, values: dict[str, Any]) -> Any:
    model = model_by_name(values["model"]) if values["model"] else None
    require(request.user, Permission.START_ROLLOUT, model)
    environment = queries.environment_by_name(values["environment"]) if values["environment"] else None
    return gate_templates.save_gates(
        name=values["name"], gates=values["gates"], model=model, environment=environment,
        actor=actor_for(request), reason=values["reason"],
    )  # fmt: skip


@page("GET", "HEAD", "POST", permission=Permission.START_ROLLOUT)
def archive(request: HttpRequest, name: str) -> HttpResponse:
    """Asks for a reason, then puts the gates away."""
    template = reach.gates_for(request.user, name, Permission.START_ROLLOUT)
    deed = Deed(
        title=f"Archive {template.name}",
        summary="No plan takes these gates any more.",
        consequences=(
            "Rollouts that took them go on as they are: each has its own copy.",
            "Their versions stay readable; saving gates under the same name brings them back.",
        ),
    )
    back = reverse("rollouts:gate-template", args=[name])
    return ask_to_archive(request, name, deed, gate_templates.archive_gates, back, "the gates")


@page()
def gates(request: HttpRequest, name: str) -> HttpResponse:
    """One template: its versions; with `?endpoint=` what they would have said of its rollouts."""
    template = reach.gates_for(request.user, name)
    endpoints = Endpoint.objects.filter(visible(request.user, reach.TO_MODEL)).order_by("name")
    if template.model is not None:
        endpoints = endpoints.filter(model=template.model)
    asked = "endpoint" in request.GET
    form = DryRunForm(
        request.GET if asked else None, endpoints=list(endpoints.values_list("name", flat=True))
    )
    context: dict[str, Any] = {
        "template": template,
        "versions": [(row, json.dumps(row.gates, indent=1)) for row in template.versions.all()],
        "may_change": may(request.user, Permission.START_ROLLOUT, template.model),
        "may_archive": may(request.user, Permission.START_ROLLOUT, template.model)
        and template.archived_at is None,
        "form": form,
        "asked": asked and form.is_valid(),
    }
    if context["asked"]:
        context["replays"] = _replays(request, template.versions.all()[0].gates, form.cleaned_data)
    return render(request, "rollouts/gate_template.html", context)


def _replays(request: HttpRequest, given: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    endpoint = reach.endpoint_for(request.user, values["endpoint"])
    since = timezone.now() - timedelta(days=values["days"])
    found = dry_run.replay_endpoint(endpoint, parse_gates(given), metrics_source(), since)
    return [_shown(item) for item in found]


def _shown(item: dry_run.Replay) -> dict[str, Any]:
    """A replay as the template shows it: a cell per look, and the sentence that decided."""
    tones = {"rolled back": "fail", "promoted": "pass", "held": "hold", "unknown": "hold"}
    known = item.conclusion != "unknown"
    decisive = item.failed_at or (item.looks[-1] if item.looks else None)
    return {
        "rollout": item.rollout,
        "ended": phase_badge(item.rollout.phase),
        "would": {
            "label": f"Would have been {item.conclusion}" if known else "Cannot be said",
            "tone": tones[item.conclusion],
        },
        "reason": sentence(decisive.now.reason) if decisive else "",
        "at": decisive.now.window.end if decisive else None,
        "cells": [
            {
                "tone": verdict_badge(look.now.verdict).tone,
                "then": verdict_badge(look.then).tone,
                "title": f"look {look.number} at {look.weight} %, {look.now.window.end:%b %d %H:%M:%S}: "
                f"{look.now.verdict.value.replace('_', ' ')}, then {look.then.value.replace('_', ' ')}",
            }
            for look in item.looks
        ],
    }
