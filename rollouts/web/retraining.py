"""The page of an endpoint's closed loop: the policy as a form, and what it asked for."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require
from registry.web.door import explain
from rollouts import hooks, reach, retraining
from rollouts.web.door import page
from rollouts.web.look import Badge
from rollouts.web.retraining_form import PolicyForm, field_of, fields_of

STATES = {
    "asked": Badge("Asked", "hold"),
    "waiting": Badge("Training", "info"),
    "started": Badge("Rolled out", "pass"),
    "refused": Badge("Not better", "hold"),
    "failed": Badge("Not delivered", "fail"),
    "expired": Badge("Nothing came", "muted"),
}


@page("GET", "HEAD", "POST")
def loop(request: HttpRequest, name: str) -> HttpResponse:
    """The policy for those who may release; everybody who sees the endpoint sees what it asked for."""
    endpoint = reach.endpoint_for(request.user, name)
    policy = retraining.policy_of(endpoint)
    if request.method == "POST":
        require(request.user, Permission.PROMOTE, endpoint.model)
    form = PolicyForm(
        request.POST if request.method == "POST" else None,
        initial=fields_of(policy),
        hooks=[hook.name for hook in hooks.webhooks()],
    )
    if request.method == "POST" and form.is_valid():
        try:
            retraining.set_policy(
                endpoint=endpoint,
                document=form.document(),
                actor=actor_for(request),
                reason=form.cleaned_data["reason"],
            )
        except DomainError as error:
            error.field = field_of(error.field)
            explain(form, error)
        else:
            messages.success(request, f"The retraining policy of {endpoint.name} is set.")
            return redirect("rollouts:retraining", name=endpoint.name)
    context = {
        "endpoint": endpoint,
        "policy": policy,
        "form": form,
        "may_change": may(request.user, Permission.PROMOTE, endpoint.model),
        "runs": [(run, STATES[run.state]) for run in retraining.runs(endpoint)],
    }
    return render(request, "rollouts/retraining.html", context, status=400 if form.errors else 200)
