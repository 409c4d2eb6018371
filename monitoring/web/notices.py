"""The page of notices: who is told of what, whether it arrives, and a form for another target."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from monitoring import notices, wiring
from monitoring.domain.notices import Severity
from monitoring.models import NoticeTarget
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for
from registry.web.door import explain, page

SHOWN = 50


class TargetForm(forms.Form):
    """A new target; lists are separated by commas."""

    name = forms.CharField(label="Name", max_length=63, help_text="Such as release-channel.")
    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="An apprise URL such as slack://…, msteams://…, mailto://…. It is never shown again.",
    )
    least = forms.ChoiceField(
        label="At least", choices=[(severity.value, severity.value) for severity in Severity]
    )
    kinds = forms.CharField(
        label="Kinds", required=False, help_text="Such as rollout.approval, rollout.failed, alert."
    )
    environments = forms.CharField(label="Environments", required=False, help_text="Such as production.")

    def values(self) -> dict[str, Any]:
        """The arguments of `notices.add_target`."""
        data = dict(self.cleaned_data)
        for name in ("kinds", "environments"):
            data[name] = [word.strip() for word in data[name].split(",") if word.strip()]
        return data


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def targets(request: HttpRequest) -> HttpResponse:
    """The list and the form."""
    form = TargetForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            target = notices.add_target(**form.values(), notifier=wiring.notifier(), actor=actor_for(request))
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, f"{target.name} ({target.service}) is told from now on.")
            return redirect("monitoring:notices")
    context = {
        "form": form,
        "targets": [{"row": row, "state": _state(row)} for row in notices.targets()],
        "sent": notices.recent(SHOWN),
    }
    return render(request, "monitoring/notices.html", context, status=400 if form.errors else 200)


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def test(request: HttpRequest, name: str) -> HttpResponse:
    """Sends a test notice and says whether it arrived."""
    problem = notices.send_test(name=name, notifier=wiring.notifier(), actor=actor_for(request))
    if problem:
        messages.error(request, f"The test notice did not reach {name}: {problem}")
    else:
        messages.success(request, f"The test notice was sent to {name}.")
    return redirect("monitoring:notices")


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def switch(request: HttpRequest, name: str, to: str) -> HttpResponse:
    """Switches a target on or off."""
    notices.switch(name=name, active=to == "on", actor=actor_for(request), reason="on the page of notices")
    messages.success(request, f"{name} is {to}.")
    return redirect("monitoring:notices")


def _state(target: NoticeTarget) -> dict[str, str]:
    """Word and tone of the badge."""
    if not target.active:
        return {"text": "Off", "tone": "hold"}
    return {"text": "Failing", "tone": "fail"} if target.failures else {"text": "On", "tone": "pass"}
