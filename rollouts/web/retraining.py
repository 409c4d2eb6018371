"""The page of an endpoint's closed loop: the policy as a form, and what it asked for."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require
from registry.web.door import explain
from rollouts import reach, retraining
from rollouts.domain.retraining import RetrainingPolicy
from rollouts.web.door import page
from rollouts.web.look import Badge

STATES = {
    "asked": Badge("Asked", "hold"),
    "waiting": Badge("Training", "info"),
    "started": Badge("Rolled out", "pass"),
    "refused": Badge("Not better", "hold"),
    "failed": Badge("Not delivered", "fail"),
    "expired": Badge("Nothing came", "muted"),
}


class PolicyForm(forms.Form):
    """The policy as its JSON document, and why it changes."""

    policy = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "code"}),
        max_length=20_000,
        help_text="Off until enabled is true. Names the hook that is called, the metrics on which a new "
        "version must beat the champion, and the rollout that it then starts.",
    )
    reason = forms.CharField(max_length=1000, required=False, label="Reason")

    def clean_policy(self) -> Any:
        try:
            return json.loads(self.cleaned_data["policy"])
        except ValueError as error:
            raise forms.ValidationError(f"It is no JSON: {error}.") from error


@page("GET", "HEAD", "POST")
def loop(request: HttpRequest, name: str) -> HttpResponse:
    """The policy for those who may release; everybody who sees the endpoint sees what it asked for."""
    endpoint = reach.endpoint_for(request.user, name)
    policy = retraining.policy_of(endpoint)
    if request.method == "POST":
        require(request.user, Permission.PROMOTE, endpoint.model)
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=_initial(policy))
    if request.method == "POST" and form.is_valid():
        try:
            retraining.set_policy(
                endpoint=endpoint,
                document=form.cleaned_data["policy"],
                actor=actor_for(request),
                reason=form.cleaned_data["reason"],
            )
        except DomainError as error:
            where = f"{error.field}: " if error.field else ""
            explain(form, type(error)(f"{where}{error.message}", field="policy", hint=error.hint))
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


def _initial(policy: RetrainingPolicy) -> dict[str, str]:
    return {"policy": json.dumps(policy.to_dict(), indent=2)}
