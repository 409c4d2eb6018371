"""The audit page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from registry import queries
from registry.audit import CHUNK
from registry.domain.roles import Permission
from registry.domain.text import whole_number
from registry.identity import may, require
from registry.walking import WalkState
from registry.web.door import page
from registry.web.forms import AuditForm


@page(everywhere=True)
def trail(request: HttpRequest) -> HttpResponse:
    """Who changed what, newest first; `?check=1` also begins a walk over the chain."""
    form = AuditForm(request.GET)
    wanted = {name: value for name, value in form.cleaned_data.items() if value} if form.is_valid() else {}
    found = queries.audit_page(after=whole_number(request.GET.get("after"), field="after"), **wanted)
    walk = _walked(request) if request.GET.get("check") else {}
    context = {
        "form": form,
        "entries": found.items,
        "older": urlencode(wanted | {"after": found.next}) if found.next else "",
        **walk,
        "may_check": may(request.user, Permission.PROMOTE),
        "may_administer": may(request.user, Permission.ADMINISTER),
    }
    return render(request, "registry/audit.html", context)


@page(permission=Permission.PROMOTE, everywhere=True)
def check(request: HttpRequest) -> HttpResponse:
    """Fragment: the next piece of the walk that `?walk=` stands for."""
    return render(request, "registry/_walk.html", _walked(request))


def _walked(request: HttpRequest) -> dict[str, Any]:
    require(request.user, Permission.PROMOTE)
    state = WalkState.read(request.GET.get("walk", "")).walked(CHUNK)
    return {
        "verdict": state.verdict,
        "checked": state.place.sequence,
        "of": state.head.place.sequence,
        "walk": "" if state.verdict else state.text(),
    }
