"""Freeze windows: the list, a new one, the end of one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may
from rollouts import approvals, queries
from rollouts.errors import NotFound
from rollouts.web.calendar import sorted_windows, window_view
from rollouts.web.changes import confirm, go
from rollouts.web.door import page
from rollouts.web.forms import ReasonForm
from rollouts.web.rules import FreezeForm
from rollouts.web.verbs import Deed, Verb

END = Verb("end", "End", Permission.PROMOTE)


@page()
def freezes(request: HttpRequest) -> HttpResponse:
    """Every window: in force, coming, ended."""
    context = {
        "windows": sorted_windows(queries.freezes(ended=True), timezone.now()),
        "may_change": may(request.user, Permission.PROMOTE),
    }
    return render(request, "rollouts/freezes.html", context)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def add(request: HttpRequest) -> HttpResponse:
    """The form of a new window."""
    form = FreezeForm(request.POST or None, environments=list(queries.environments()))
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["environment"]
        try:
            approvals.add_freeze(
                environment=queries.environment_by_name(name) if name else None,
                starts_at=form.cleaned_data["starts_at"],
                ends_at=form.cleaned_data["ends_at"],
                rule=form.cleaned_data["recurrence"],
                zone=form.cleaned_data["timezone"],
                reason=form.cleaned_data["reason"],
                actor=actor_for(request),
            )
            return redirect("rollouts:freezes")
        except DomainError as refused:
            form.blame(refused)
    return render(request, "rollouts/freeze_new.html", {"form": form}, status=422 if form.errors else 200)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for a reason, then ends the window for good."""
    window = queries.freezes(ended=True).filter(pk=pk).first()
    if window is None:
        raise NotFound(f"There is no freeze window {pk}.")
    back = reverse("rollouts:freezes")
    form = ReasonForm(request.POST or None)
    error: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            approvals.end_freeze(window_id=pk, actor=actor_for(request), reason=form.cleaned_data["reason"])
            return go(request, back)
        except DomainError as refused:
            error = refused
    view = window_view(window, timezone.now())
    where = window.environment.name if window.environment else "every environment"
    deed = Deed(
        title="End the freeze",
        summary=f"Ends “{window.reason}” in {where} for good.",
        consequences=(
            "Rollouts that it holds go on at the next tick, and new ones can start."
            if view.until
            else "It is not in force now, so nothing moves at once.",
            "It does not come back: none of its repetitions holds anything any more.",
        ),
    )
    return confirm(request, deed, END, form, back, "freeze windows", error)
