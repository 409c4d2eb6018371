"""Pages of models."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry import queries, services
from registry.domain.access import Scope
from registry.domain.names import CHAMPION
from registry.domain.roles import Permission
from registry.domain.text import clean_line, whole_number
from registry.errors import DomainError
from registry.identity import actor_for, may, may_anywhere, require, visible
from registry.web.door import explain, model_of, page
from registry.web.forms import ModelForm, SearchForm
from registry.web.presenting import model_row, unserved, version_row


@page()
def models(request: HttpRequest) -> HttpResponse:
    """Every model, by name."""
    form = SearchForm(request.GET)
    search = form.cleaned_data["search"] if form.is_valid() else ""
    after = clean_line(request.GET.get("after", ""), field="after", maximum=128)
    found = queries.models_page(after=after, search=search, within=visible(request.user))
    context = {
        "form": form,
        "search": search,
        "rows": [model_row(model) for model in found.items],
        "next": found.next,
        "may_register": may_anywhere(request.user, Permission.REGISTER),
    }
    return render(request, "registry/models.html", context)


@page()
def model(request: HttpRequest, name: str) -> HttpResponse:
    """A model with its versions, newest first, and what is being rolled out of it."""
    shown = model_of(request)
    found = queries.versions_page(
        shown, limit=25, after=whole_number(request.GET.get("after"), field="after")
    )
    champion = queries.champion(shown)
    rows = [version_row(version, champion) for version in found.items]
    context = {
        "model": shown,
        "aliases": queries.aliases_of(shown),
        "tags": sorted(shown.tags.items()),
        "champion": champion,
        "rows": rows,
        "metric_names": sorted({name for row in rows for name in row.metrics})[:6],
        "next": found.next,
        "unserved": unserved(found.items),
        "champion_alias": CHAMPION,
        "may_register": may(request.user, Permission.REGISTER, shown),
        "may_start": may(request.user, Permission.START_ROLLOUT, shown),
        "may_promote": may(request.user, Permission.PROMOTE, shown),
        "may_administer": may(request.user, Permission.ADMINISTER, shown),
    }
    return render(request, "registry/model.html", context)


@page("GET", "HEAD", "POST", permission=Permission.REGISTER)
def new_model(request: HttpRequest) -> HttpResponse:
    """The form for a new model."""
    form = ModelForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            require(request.user, Permission.REGISTER, Scope(team=form.cleaned_data["owner_team"].strip()))
            made = services.create_model(**form.cleaned_data, actor=actor_for(request))
        except DomainError as error:
            explain(form, error)
        else:
            return redirect("registry:model", made.name)
    return render(request, "registry/new_model.html", {"form": form}, status=400 if form.errors else 200)
