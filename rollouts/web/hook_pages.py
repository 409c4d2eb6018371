"""The page of hooks: who may be asked, who asks them, what they answered, and a form for another one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require, visible
from registry.web.door import explain
from rollouts import hooks, queries, reach
from rollouts.domain.policy import Policy
from rollouts.models import Webhook
from rollouts.web.door import page
from rollouts.web.hooks import call_view
from rollouts.web.look import Badge

SHOWN = 30


class HookForm(forms.Form):
    """A new hook."""

    name = forms.CharField(label="Name", max_length=63, help_text="Such as load-test; plans name it so.")
    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="http or https. It may hold a token, so it is never shown again.",
    )


@page("GET", "HEAD", "POST")
def hook_list(request: HttpRequest) -> HttpResponse:
    """Every hook, and the form for those who may add one."""
    form = HookForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return _shown(request, form)
    require(request.user, Permission.PROMOTE)
    if form.is_valid():
        try:
            row, secret = hooks.add_webhook(**form.cleaned_data, actor=actor_for(request))
        except DomainError as error:
            explain(form, error)
        else:
            return _shown(request, HookForm(), secret_of=row.name, secret=secret)
    return _shown(request, form)


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def ping(request: HttpRequest, name: str) -> HttpResponse:
    """Sends a signed ping and says whether it arrived."""
    problem = hooks.ping(name=name)
    if problem:
        messages.error(request, f"The ping did not reach {name}: {problem}")
    else:
        messages.success(request, f"The ping was sent to {name}.")
    return redirect("rollouts:hooks")


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def switch(request: HttpRequest, name: str, to: str) -> HttpResponse:
    """Switches a hook on or off; one that is off gives no answer."""
    hooks.switch(name=name, active=to == "on", actor=actor_for(request), reason="on the page of hooks")
    messages.success(request, f"{name} is {to}.")
    return redirect("rollouts:hooks")


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def secret(request: HttpRequest, name: str) -> HttpResponse:
    """Replaces the secret and shows the new one, this once."""
    made = hooks.new_secret_of(name=name, actor=actor_for(request))
    return _shown(request, HookForm(), secret_of=name, secret=made)


def _shown(request: HttpRequest, form: HookForm, **made: str) -> HttpResponse:
    seen = visible(request.user, f"rollout__{reach.TO_MODEL_OF_ENDPOINT}")
    asking = _asking()
    context: dict[str, Any] = {
        "form": form,
        "hooks": [(row, _state(row), asking.get(row.name, [])) for row in hooks.webhooks()],
        "calls": [(call.rollout, call_view(call)) for call in hooks.newest_calls(SHOWN, within=seen)],
        "may_change": may(request.user, Permission.PROMOTE),
        **made,
    }
    return render(request, "rollouts/hooks.html", context, status=422 if form.errors else 200)


def _asking() -> dict[str, list[str]]:
    """The environments whose policy names a hook, by hook."""
    found: dict[str, list[str]] = {}
    for row in queries.environments():
        for hook in Policy.from_dict(row.policy).hooks:
            found.setdefault(hook.name, []).append(row.name)
    return found


def _state(row: Webhook) -> Badge:
    return Badge("On", "pass") if row.active else Badge("Off", "hold")
