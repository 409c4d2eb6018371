"""The page of a model's retention: the policy, what it would remove now, and removing it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may
from registry.services import retention as service
from registry.web.door import explain, model_of, page
from registry.web.forms import RetentionForm


@page()
def retention(request: HttpRequest, name: str) -> HttpResponse:
    """What the policy is, and a dry run of it."""
    return _shown(request, RetentionForm(initial={"keep": model_of(request).keep_served}))


@page("POST", permission=Permission.ADMINISTER)
def set_retention(request: HttpRequest, name: str) -> HttpResponse:
    """Another policy; nothing is removed yet."""
    form = RetentionForm(request.POST)
    if form.is_valid():
        try:
            model = service.set_retention(
                model=model_of(request), actor=actor_for(request), **form.cleaned_data
            )
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, f"The policy of {model.name} is changed; nothing is removed yet.")
            return redirect("registry:retention", model.name)
    return _shown(request, form)


@page("POST", permission=Permission.ADMINISTER)
def apply_retention(request: HttpRequest, name: str) -> HttpResponse:
    """Remove what the policy lets go."""
    model = model_of(request)
    done = service.apply_retention(model=model, actor=actor_for(request))
    gone = [removal.number for removal in done if not removal.held]
    said = ", ".join(f"v{number}" for number in gone) or "nothing"
    messages.success(request, f"Deleted: {said}.")
    return redirect("registry:retention", model.name)


def _shown(request: HttpRequest, form: RetentionForm) -> HttpResponse:
    model, every = model_of(request), settings.SLIPWAY_RETENTION_HOURS
    last = service.last_turn() if every else None
    found = service.removals(model)
    context = {
        "model": model,
        "form": form,
        "removals": found,
        "going": sum(not removal.held for removal in found),
        "at_once": service.AT_ONCE,
        "every": every,
        "last": last,
        "following": last and last + timedelta(hours=every),
        "may_administer": may(request.user, Permission.ADMINISTER, model),
    }
    return render(request, "registry/retention.html", context, status=400 if form.errors else 200)
