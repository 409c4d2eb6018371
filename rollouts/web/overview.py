"""The start page: what serves, what is moving, what happened."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from registry.domain.roles import Permission
from registry.identity import may_anywhere, visible
from rollouts import queries, reach
from rollouts.web.door import page
from rollouts.web.presenters import endpoint_view, rollout_views

RECENT = 12


@page()
def overview(request: HttpRequest) -> HttpResponse:
    """Endpoints with their traffic, active rollouts and the latest outcomes."""
    return render(request, "rollouts/overview.html", _context(request))


@page()
def overview_live(request: HttpRequest) -> HttpResponse:
    """The same, as the fragment that the page polls."""
    return render(request, "rollouts/_overview.html", _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    seen = queries.endpoints_overview().filter(visible(request.user, reach.TO_MODEL))
    recent = queries.recent_rollouts(RECENT, within=visible(request.user, reach.TO_MODEL_OF_ENDPOINT))
    return {
        "endpoints": [endpoint_view(endpoint, now) for endpoint in seen],
        "recent": rollout_views(recent, queries.causes(recent), now),
        "may_create": reach.may_create_endpoint(request.user),
        "may_start": may_anywhere(request.user, Permission.START_ROLLOUT),
    }
