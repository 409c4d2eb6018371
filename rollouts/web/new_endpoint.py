"""Putting a model into service: the page that makes an endpoint with its first version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require, visible
from registry.models import Model, Version
from registry.queries import MAX_PAGE, model_by_name, models_page, version_by_number, versions_page
from registry.web.door import explain
from rollouts import abilities, queries, services
from rollouts.domain.fields import NAME
from rollouts.models import Endpoint, Environment
from rollouts.web.door import page


class ChooseModelForm(forms.Form):
    """The first question, when the address did not answer it."""

    model = forms.ChoiceField(label="Model", help_text="What the endpoint is to serve.")

    def __init__(self, *args: Any, models: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["model"]
        field.choices = [(name, name) for name in models]


class EndpointForm(forms.Form):
    """A model's endpoint in an environment, and the version that serves there first."""

    environment = forms.ChoiceField(help_text="A model has one endpoint in each.")
    version = forms.ChoiceField(
        label="First version", help_text="It takes all traffic as soon as it is ready, without a rollout."
    )
    name = forms.CharField(
        max_length=53, help_text="Part of the address: a-z, 0-9 and dashes, such as churn-production."
    )
    replicas = forms.IntegerField(
        label="Servers", min_value=1, max_value=1000, initial=1, help_text="How many run it at once."
    )
    reason = forms.CharField(
        max_length=2000, required=False, help_text="For the audit trail, such as the first release."
    )

    def __init__(
        self, *args: Any, environments: Sequence[Environment], versions: Sequence[Version], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        where: Any = self.fields["environment"]
        where.choices = [(row.name, row.name) for row in environments]
        first: Any = self.fields["version"]
        first.choices = [(row.ref, f"v{row.number} {row.label}".strip()) for row in versions]


@dataclass(frozen=True, slots=True)
class Room:
    """Where the model can go into service, and with what.

    unserved: versions that no environment's servers can run, with the reason. present: its endpoints.
    """

    environments: tuple[Environment, ...]
    versions: tuple[Version, ...]
    unserved: tuple[tuple[Version, str], ...]
    present: tuple[Endpoint, ...]


def room_of(model: Model) -> Room:
    """The environments without an endpoint of the model, and the versions that one of them can run."""
    present = tuple(queries.endpoints_overview().filter(model=model))
    taken = {endpoint.environment_id for endpoint in present}
    free = tuple(row for row in queries.environments() if row.pk not in taken)
    servers = [abilities.serves(row) for row in free]
    rows = versions_page(model, limit=MAX_PAGE).items
    refused = abilities.unserved(rows, servers)
    unserved = tuple((row, refused[row.pk]) for row in rows if row.pk in refused)
    return Room(free, tuple(row for row in rows if row.pk not in refused), unserved, present)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE)
def new_endpoint(request: HttpRequest) -> HttpResponse:
    """The form; `?model=` and `?version=` fill in what is known already."""
    asked = request.POST.get("model") or request.GET.get("model", "")
    if not asked:
        return _choose(request)
    model = model_by_name(asked)
    require(request.user, Permission.PROMOTE, model)
    room = room_of(model)
    form = _form(request, model, room)
    if request.method == "POST" and form.is_valid():
        try:
            made = _created(request, model, form)
        except DomainError as refused:
            explain(form, refused)
        else:
            messages.success(
                request, f"{made.name} is made: its first version takes the traffic as soon as it is ready."
            )
            return redirect("rollouts:endpoint", made.name)
    context = {
        "model": model,
        "room": room,
        "form": form,
        "has_environment": bool(room.environments or room.present),
        "may_change": may(request.user, Permission.ADMINISTER),
        "may_register": may(request.user, Permission.REGISTER, model),
    }
    return render(request, "rollouts/endpoint_new.html", context, status=422 if form.errors else 200)


def _choose(request: HttpRequest) -> HttpResponse:
    found = models_page(limit=MAX_PAGE, within=visible(request.user, permission=Permission.PROMOTE))
    names = [model.name for model in found.items]
    return render(
        request,
        "rollouts/endpoint_new.html",
        {"choose": ChooseModelForm(models=names), "models": names, "more": found.next},
    )


def _form(request: HttpRequest, model: Model, room: Room) -> EndpointForm:
    if request.method == "POST":
        return EndpointForm(request.POST, environments=room.environments, versions=room.versions)
    initial = {"version": request.GET.get("version", "")}
    if len(room.environments) == 1:
        name = f"{model.name}-{room.environments[0].name}".lower()
        initial["name"] = name if NAME.fullmatch(name) else ""
    return EndpointForm(initial=initial, environments=room.environments, versions=room.versions)


def _created(request: HttpRequest, model: Model, form: EndpointForm) -> Endpoint:
    said = form.cleaned_data
    return services.create_endpoint(
        name=said["name"],
        environment=queries.environment_by_name(said["environment"]),
        version=version_by_number(model, int(said["version"])),
        replicas=said["replicas"],
        actor=actor_for(request),
        reason=said["reason"],
    )
