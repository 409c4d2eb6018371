"""Environments: where they are, what lives there, what they ask of rollouts, and changing that."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from registry.domain.roles import Permission
from registry.errors import Conflict, DomainError
from registry.identity import actor_for, may, require, visible
from registry.web.door import explain
from rollouts import abilities, hooks, queries, reach, services
from rollouts.domain.policy import Policy
from rollouts.targets import DEFAULT, Target, find, targets
from rollouts.web.calendar import policy_lines, sorted_windows
from rollouts.web.door import page
from rollouts.web.look import sentence
from rollouts.web.rules import PolicyForm, fits


class PlacedForm(forms.Form):
    """Where an environment's endpoints will live."""

    target = forms.ChoiceField(label="Target", initial=DEFAULT, help_text="The cluster and the router.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["target"]
        field.choices = [(name, f"{name}: {in_words(target)}") for name, target in targets().items()]


class TargetForm(PlacedForm):
    """Another target for an environment."""

    reason = forms.CharField(label="Reason", max_length=1000, help_text="Kept in the audit log.")


class EnvironmentForm(PlacedForm):
    """A new environment."""

    name = forms.CharField(label="Name", max_length=53, help_text="Such as staging: a-z, 0-9 and dashes.")
    alias = forms.CharField(
        label="Alias",
        required=False,
        max_length=128,
        help_text="Follows the stable versions; empty: champion for production, else the name.",
    )
    field_order = ("name", "target", "alias")


def in_words(target: Target | None) -> str:
    """`kubernetes with istio (context eu, namespace models)`."""
    if target is None:
        return "the settings do not name it any more, so nothing moves here"
    place = f" ({target.place})" if target.place else ""
    return f"{target.cluster_name} with {target.router_name}{place}"


@page()
def environments(request: HttpRequest) -> HttpResponse:
    """Every environment with its alias, its policy in words, its endpoints and its freeze."""
    by_environment = defaultdict(list)
    for endpoint in queries.endpoints_overview().filter(visible(request.user, reach.TO_MODEL)):
        by_environment[endpoint.environment_id].append(endpoint)
    occupied = queries.occupied_environments()
    windows = sorted_windows(queries.freezes(), timezone.now())
    frozen = [view for view in windows if view.state == "in force"]
    context = {
        "environments": [
            {
                "row": row,
                "runs_on": in_words(target := find(row.target)),
                "target": target,
                "serves": abilities.serves(row),
                "occupied": row.pk in occupied,
                "policy": policy_lines(Policy.from_dict(row.policy)),
                "endpoints": by_environment[row.pk],
                "frozen": next((v for v in frozen if v.window.environment_id in (None, row.pk)), None),
            }
            for row in queries.environments()
        ],
        "may_change": may(request.user, Permission.ADMINISTER),
        "may_tell": may(request.user, Permission.PROMOTE),
    }
    return render(request, "rollouts/environments.html", context)


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER, everywhere=True)
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new environment."""
    form = EnvironmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.create_environment(**form.cleaned_data, actor=actor_for(request))
            return redirect("rollouts:environments")
        except DomainError as refused:
            explain(form, refused)
    context = {"title": "Create an environment", "form": form}
    return render(request, "rollouts/environment_form.html", context, status=422 if form.errors else 200)


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER, everywhere=True)
def target(request: HttpRequest, name: str) -> HttpResponse:
    """The form of an environment's target, while nothing lives there."""
    environment = queries.environment_by_name(name)
    form = TargetForm(request.POST or None, initial={"target": environment.target})
    if request.method == "POST" and form.is_valid():
        try:
            services.set_target(environment=environment, **form.cleaned_data, actor=actor_for(request))
            return redirect("rollouts:environments")
        except DomainError as refused:
            explain(form, refused)
    context = {"title": f"Target of {name}", "form": form}
    return render(request, "rollouts/environment_form.html", context, status=422 if form.errors else 200)


@page("GET", "HEAD", "POST")
def policy(request: HttpRequest, name: str) -> HttpResponse:
    """An environment's policy in words; for administrators the form that changes it, for rollouts that start
    from then on."""
    environment = queries.environment_by_name(name)
    present = Policy.from_dict(environment.policy)
    if request.method != "POST" and not may(request.user, Permission.ADMINISTER):
        context = {"environment": environment, "lines": policy_lines(present)}
        return render(request, "rollouts/policy.html", context)
    require(request.user, Permission.ADMINISTER)
    if not fits(present):
        raise Conflict(
            f"The policy of {name} asks for more than this form can show.",
            hint=f"Change it with PUT /api/v1/environments/{name}/policy.",
        )
    others = [row.name for row in queries.environments() if row.pk != environment.pk]
    known = [row.name for row in hooks.webhooks()]
    form = PolicyForm(request.POST or None, policy=present, others=others, hooks=known)
    if request.method == "POST" and form.is_valid():
        try:
            services.set_policy(
                environment=environment,
                policy=form.policy(),
                actor=actor_for(request),
                reason=form.cleaned_data["reason"],
            )
            return redirect("rollouts:environments")
        except DomainError as refused:
            form.add_error(None, sentence(refused.message))
    context = {"environment": environment, "form": form}
    return render(request, "rollouts/policy.html", context, status=422 if form.errors else 200)
