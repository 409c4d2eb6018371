"""Environments: what lives there, what they ask of rollouts, and changing that."""

from __future__ import annotations

from collections import defaultdict

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from registry.domain.roles import Permission
from registry.errors import Conflict, DomainError
from registry.identity import actor_for, may, visible
from rollouts import queries, reach, services
from rollouts.domain.policy import Policy
from rollouts.web.calendar import policy_lines, sorted_windows
from rollouts.web.door import page
from rollouts.web.look import sentence
from rollouts.web.rules import PolicyForm, fits


@page()
def environments(request: HttpRequest) -> HttpResponse:
    """Every environment with its alias, its policy in words, its endpoints and its freeze."""
    by_environment = defaultdict(list)
    for endpoint in queries.endpoints_overview().filter(visible(request.user, reach.TO_MODEL)):
        by_environment[endpoint.environment_id].append(endpoint)
    windows = sorted_windows(queries.freezes(), timezone.now())
    frozen = [view for view in windows if view.state == "in force"]
    context = {
        "environments": [
            {
                "row": row,
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
def policy(request: HttpRequest, name: str) -> HttpResponse:
    """The form of an environment's policy; rollouts under way keep the one they began with."""
    environment = queries.environment_by_name(name)
    present = Policy.from_dict(environment.policy)
    if not fits(present):
        raise Conflict(
            f"The policy of {name} asks for more than this form can show.",
            hint=f"Change it with PUT /api/v1/environments/{name}/policy.",
        )
    others = [row.name for row in queries.environments() if row.pk != environment.pk]
    form = PolicyForm(request.POST or None, policy=present, others=others)
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
