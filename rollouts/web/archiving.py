"""Putting away what is kept under a name: plan templates and gates ask the same question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for
from rollouts.web.changes import confirm, go
from rollouts.web.forms import ReasonForm
from rollouts.web.verbs import Deed, Verb

ARCHIVE = Verb("archive", "Archive", Permission.START_ROLLOUT)


def ask_to_archive(
    request: HttpRequest, name: str, deed: Deed, archive: Callable[..., Any], back: str, what: str
) -> HttpResponse:
    """Asks for a reason, then calls `archive` and goes `back` to the page of `what`."""
    form = ReasonForm(request.POST or None)
    error: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            archive(name=name, actor=actor_for(request), reason=form.cleaned_data["reason"])
            return go(request, back)
        except DomainError as refused:
            error = refused
    return confirm(request, deed, ARCHIVE, form, back, what, error)
