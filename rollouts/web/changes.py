"""Views that change something: each reads a form, asks one service, and says what became of it."""

from __future__ import annotations

import re
from types import EllipsisType
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from registry.errors import Conflict, DomainError
from registry.identity import actor_for, require, role_of
from registry.models import Version
from registry.queries import version_by_number
from rollouts import approvals, reach, services
from rollouts.models import Endpoint, Rollout
from rollouts.store import snapshot_of
from rollouts.web.asking import ANSWERS, APPROVE, approve_deed, refuse_deed
from rollouts.web.door import in_dialog, page
from rollouts.web.forms import CommentForm, ReasonForm
from rollouts.web.verbs import ABORT, ROLLBACK, ROLLOUT_VERBS, Deed, Verb, deed, rollback_deed

SERVICES = {
    "pause": services.pause,
    "resume": services.resume,
    "promote": services.promote,
    "break_glass": services.break_glass,
    "abort": services.abort,
    "retry": services.retry,
}


@page("GET", "HEAD", "POST")
def control(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Asks for a reason and says what `verb` will do; with the reason, does it."""
    if verb not in ROLLOUT_VERBS:
        raise Http404(f"A rollout has no verb {verb!r}.")
    button = ROLLOUT_VERBS[verb]
    row = reach.rollout_for(request.user, pk, button.permission)
    back = reverse("rollouts:rollout", args=[pk])
    form = ReasonForm(request.POST or None)
    error: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            after = SERVICES[verb](rollout=row, actor=actor_for(request), reason=form.cleaned_data["reason"])
            return go(request, reverse("rollouts:rollout", args=[after.pk]))
        except DomainError as refused:
            error = refused
    return confirm(request, _deed(row, verb), button, form, back, f"rollout {pk}", error)


@page("GET", "HEAD", "POST")
def vote(request: HttpRequest, pk: int, answer: str) -> HttpResponse:
    """The question before an approval or a refusal; `rollouts.approvals` says who may answer."""
    row = reach.rollout_for(request.user, pk)
    actor, role = actor_for(request), role_of(request.user, row.endpoint.model)
    form = (CommentForm if answer == APPROVE.name else ReasonForm)(request.POST or None)
    error: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        cast = approvals.approve if answer == APPROVE.name else approvals.refuse
        try:
            cast(rollout=row, actor=actor, role=role, comment=form.cleaned_data["reason"])
            return go(request, reverse("rollouts:rollout", args=[pk]))
        except DomainError as refused:
            error = refused
    elif why := approvals.why_not(row, actor, role):
        error = Conflict(why)
    back = reverse("rollouts:rollout", args=[pk])
    return confirm(request, _vote_deed(row, answer), ANSWERS[answer], form, back, f"rollout {pk}", error)


def _vote_deed(row: Rollout, answer: str) -> Deed:
    snapshot = snapshot_of(row)
    if answer == APPROVE.name:
        return approve_deed(snapshot, approvals.votes_of(row))
    return refuse_deed(snapshot)


@page("GET", "HEAD", "POST")
def rollback(request: HttpRequest, name: str) -> HttpResponse:
    """The endpoint's rollback: aborts what is under way, or goes back to the previous release, or to the one
    of `?version=` that served here before."""
    endpoint = reach.endpoint_for(request.user, name)
    wanted = request.GET.get("version", "")
    version = version_by_number(endpoint.model, int(wanted)) if re.fullmatch(r"[0-9]{1,9}", wanted) else None
    verb = ABORT if endpoint.active else ROLLBACK
    require(request.user, verb.permission, endpoint.model)
    back = reverse("rollouts:endpoint", args=[name])
    form = ReasonForm(request.POST or None)
    error: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            row = services.rollback_endpoint(
                endpoint=endpoint,
                version=version,
                actor=actor_for(request),
                reason=form.cleaned_data["reason"],
                seen_active=_seen_active(request),
            )
            return go(request, reverse("rollouts:rollout", args=[row.pk]))
        except DomainError as refused:
            error = refused
    shown = {"version": wanted, "active": endpoint.active_id or "none"}
    action = f"{request.path}?{urlencode({key: value for key, value in shown.items() if value})}"
    return confirm(request, _rollback_deed(endpoint, version), verb, form, back, name, error, action=action)


def _seen_active(request: HttpRequest) -> int | None | EllipsisType:
    """The rollout that was active when the question was asked; a form without it asked nobody."""
    shown = request.GET.get("active", "")
    if shown == "none":
        return None
    return int(shown) if re.fullmatch(r"[0-9]{1,18}", shown) else ...


def _deed(row: Rollout, verb: str) -> Deed:
    snapshot = snapshot_of(row)
    return deed(verb, stable=snapshot.stable, candidate=snapshot.candidate, weight=snapshot.weight)


def _rollback_deed(endpoint: Endpoint, version: Version | None) -> Deed:
    if endpoint.active:
        return _deed(endpoint.active, ABORT.name)
    if endpoint.stable is not None and version is not None:
        return rollback_deed(stable=endpoint.stable.version.ref, previous=version.ref)
    if endpoint.previous is None or endpoint.stable is None:
        raise Conflict(
            f"{endpoint.name} keeps no previous version to go back to.",
            hint="Start a rollout of the version you want instead.",
        )
    return rollback_deed(stable=endpoint.stable.version.ref, previous=endpoint.previous.version.ref)


def confirm(
    request: HttpRequest,
    what: Deed,
    verb: Verb,
    form: ReasonForm,
    back: str,
    back_label: str,
    error: DomainError | None,
    *,
    action: str = "",
) -> HttpResponse:
    """The question, in the dialog or as a page of its own; a refusal is shown in its place."""
    context = {
        "deed": what,
        "verb": verb,
        "form": form,
        "error": error,
        "action": action or request.get_full_path(),
        "back": back,
        "back_label": back_label,
        "dialog": in_dialog(request),
    }
    status = error.status if error else 422 if form.errors else 200
    template = "rollouts/_confirm.html" if context["dialog"] else "rollouts/confirm.html"
    return render(request, template, context, status=status)


def go(request: HttpRequest, to: str) -> HttpResponse:
    return HttpResponseClientRedirect(to) if getattr(request, "htmx", False) else redirect(to)
