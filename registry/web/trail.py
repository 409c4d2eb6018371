"""The audit page."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from registry import audit, queries
from registry.domain.roles import Permission
from registry.domain.text import whole_number
from registry.identity import may, require
from registry.web.door import page
from registry.web.forms import AuditForm


@page(everywhere=True)
def trail(request: HttpRequest) -> HttpResponse:
    """Who changed what, newest first; `?check=1` also walks the hash chain (administrators)."""
    form = AuditForm(request.GET)
    wanted = {name: value for name, value in form.cleaned_data.items() if value} if form.is_valid() else {}
    found = queries.audit_page(after=whole_number(request.GET.get("after"), field="after"), **wanted)
    verdict = None
    if request.GET.get("check"):
        require(request.user, Permission.ADMINISTER)
        verdict = audit.verify_chain()
    context = {
        "form": form,
        "entries": found.items,
        "older": urlencode(wanted | {"after": found.next}) if found.next else "",
        "verdict": verdict,
        "may_administer": may(request.user, Permission.ADMINISTER),
    }
    return render(request, "registry/audit.html", context)
