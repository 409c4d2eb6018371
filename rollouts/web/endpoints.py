"""Pages of endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from monitoring.domain.window import Window
from registry.domain.moments import moment_of
from registry.domain.roles import Permission
from registry.identity import may, may_anywhere, permissions_of, visible
from rollouts import queries, reach
from rollouts.models import Endpoint
from rollouts.store import freeze_of
from rollouts.targets import address
from rollouts.web.charts import endpoint_charts as draw
from rollouts.web.charts import outcome_marks, show
from rollouts.web.door import page
from rollouts.web.figures import figures_of
from rollouts.web.presenters import EndpointView, endpoint_view, release_ref, rollout_views, tenure_views
from rollouts.web.verbs import ABORT, ROLLBACK, Button, button

HISTORY = 20
CHART_WINDOW = timedelta(minutes=15)
# A young endpoint's charts begin a little before it was made, and not with an empty quarter of an hour.
LEAD = timedelta(seconds=30)


@page()
def endpoints(request: HttpRequest) -> HttpResponse:
    """Every endpoint with what serves there; figures come with the fragment, so that the page never waits."""
    now = timezone.now()
    seen = queries.endpoints_overview().filter(visible(request.user, reach.TO_MODEL))
    views = [endpoint_view(endpoint, now) for endpoint in seen]
    fragment = bool(request.headers.get("HX-Request"))
    names = [view.endpoint.name for view in views]
    figures, problem = figures_of(names, now) if fragment else ({}, "")
    context = {
        "rows": [(view, figures.get(view.endpoint.name)) for view in views],
        "figures_problem": problem,
        "may_create": reach.may_create_endpoint(request.user),
        "may_start": may_anywhere(request.user, Permission.START_ROLLOUT),
    }
    return render(request, "rollouts/_endpoints.html" if fragment else "rollouts/endpoints.html", context)


@page()
def endpoint(request: HttpRequest, name: str) -> HttpResponse:
    """One endpoint: releases, traffic, servers, charts, history."""
    view = _view(request, name)
    now = timezone.now()
    recent = queries.recent_rollouts(HISTORY, endpoint=view.endpoint.name)
    tenures = queries.tenures(view.endpoint, HISTORY)
    context = {
        **_context(view),
        "url": address(view.endpoint.environment.target, view.endpoint.name),
        "tenures": tenure_views(tenures, view.stable, now),
        "back": button(ROLLBACK, permissions_of(request.user, view.endpoint.model)),
        "history": rollout_views(recent, queries.causes(recent), now),
        "rollback": _rollback(request, view.endpoint),
        "rollback_url": reverse("rollouts:endpoint-rollback", args=[name]),
        "may_start": may(request.user, Permission.START_ROLLOUT, view.endpoint.model),
    }
    return render(request, "rollouts/endpoint.html", context)


@page()
def endpoint_history(request: HttpRequest, name: str) -> HttpResponse:
    """What served when, a page at a time; `?before=` is the beginning of the last one shown."""
    view = _view(request, name)
    asked = request.GET.get("before", "")
    before = moment_of(asked)
    tenures = queries.tenures(view.endpoint, before=before)
    context = {
        "endpoint": view.endpoint,
        "tenures": tenure_views(tenures, view.stable, timezone.now()),
        "back": button(ROLLBACK, permissions_of(request.user, view.endpoint.model)),
        "rollback_url": reverse("rollouts:endpoint-rollback", args=[name]),
        "earlier": tenures[-1].start.isoformat() if len(tenures) == queries.PAGE else "",
        "first": before is None,
    }
    return render(request, "rollouts/endpoint_history.html", context)


@page()
def endpoint_traffic(request: HttpRequest, name: str) -> HttpResponse:
    """Fragment: releases, split and servers as of the last observation."""
    return render(request, "rollouts/_endpoint_traffic.html", _context(_view(request, name)))


@page()
def endpoint_charts(request: HttpRequest, name: str) -> HttpResponse:
    """Fragment: the endpoint's charts of the last minutes."""
    row = reach.endpoint_for(request.user, name)
    now = timezone.now()
    window = Window(start=max(now - CHART_WINDOW, row.created_at - LEAD), end=now)
    drawn = draw(
        row.name,
        stable=release_ref(row.stable),
        candidate=release_ref(row.active.candidate) if row.active else None,
        previous=release_ref(row.previous),
        window=window,
        marks=outcome_marks(queries.moves_since(row, window.start)),
    )
    return show(request, drawn)


def _view(request: HttpRequest, name: str) -> EndpointView:
    return endpoint_view(reach.endpoint_for(request.user, name), timezone.now())


def _context(view: EndpointView) -> dict[str, Any]:
    freeze = freeze_of(view.endpoint.environment_id, timezone.now())
    return {"view": view, "endpoint": view.endpoint, "freeze": freeze}


def _rollback(request: HttpRequest, row: Endpoint) -> Button | None:
    """The rollback button, when there is something to go back from."""
    if row.active is None and row.previous is None:
        return None
    return button(ABORT if row.active else ROLLBACK, permissions_of(request.user, row.model))
