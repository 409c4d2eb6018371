"""Pages of rollouts: the list, one rollout, and the fragments that keep it live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from monitoring.domain.window import Window
from registry.domain.roles import Permission
from registry.identity import actor_for, may_anywhere, permissions_of, role_of, visible
from rollouts import approvals, queries, reach
from rollouts.domain.phases import Phase
from rollouts.domain.strategies import STARTABLE
from rollouts.models import Rollout
from rollouts.store import freeze_of, snapshot_of
from rollouts.web.asking import approval_view, asks
from rollouts.web.charts import endpoint_charts, show, step_marks
from rollouts.web.door import page
from rollouts.web.hooks import call_views
from rollouts.web.look import PHASES, verdict_badge
from rollouts.web.presenters import gate_rows, is_over, rollout_view, rollout_views, traffic
from rollouts.web.presenters import timeline as timeline_entries
from rollouts.web.verbs import RETRY, buttons, idle_verbs

PAGE = 50
ENTRIES = 200
ACTIVE = "active"
# Charts begin a little before the rollout and go on a little after it, so that the change is seen.
LEAD, TAIL = timedelta(seconds=30), timedelta(seconds=60)


@page()
def rollout_list(request: HttpRequest) -> HttpResponse:
    """Rollouts, newest first, by phase and endpoint; pages are keyed by the last id shown."""
    phase = request.GET.get("phase", "")
    name = request.GET.get("endpoint", "")
    before = request.GET.get("before", "")
    rows = queries.recent_rollouts(
        PAGE + 1,
        before=int(before) if before.isdecimal() else None,
        endpoint=name,
        phase=phase if phase == ACTIVE or phase in list(Phase) else None,
        within=visible(request.user, reach.TO_MODEL_OF_ENDPOINT),
    )
    now = timezone.now()
    context = {
        "rollouts": rollout_views(rows[:PAGE], queries.causes(rows[:PAGE]), now),
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "first": not before,
        "phases": PHASES.items(),
        "endpoint_names": [
            endpoint.name
            for endpoint in queries.endpoints_overview().filter(visible(request.user, reach.TO_MODEL))
        ],
        "phase": phase,
        "endpoint_name": name,
        "may_start": may_anywhere(request.user, Permission.START_ROLLOUT),
    }
    return render(request, "rollouts/rollouts.html", context)


@page()
def live(request: HttpRequest) -> HttpResponse:
    """Fragment: rollouts under way of the model in `?model=` (without: of all), for the registry's pages."""
    model = request.GET.get("model", "")
    now = timezone.now()
    seen = visible(request.user, reach.TO_MODEL_OF_ENDPOINT)
    rows = queries.recent_rollouts(model=model, phase=ACTIVE, within=seen)
    views = [rollout_view(row, now) for row in rows]
    served = not model or bool(views) or queries.is_served(model, visible(request.user, reach.TO_MODEL))
    context = {
        "rollouts": views,
        "model": model,
        "served": served,
        "may_create": not served and reach.may_create_endpoint(request.user, model),
    }
    return render(request, "rollouts/_live.html", context)


@page()
def rollout(request: HttpRequest, pk: int) -> HttpResponse:
    """One rollout, live."""
    row = reach.rollout_for(request.user, pk)
    earlier = queries.earlier_success(row)
    context = {
        **_status(row),
        **_controls(request, row),
        **_approval(request, row),
        **_timeline(row),
        "earlier": _earlier(earlier) if earlier else None,
    }
    return render(request, "rollouts/rollout.html", context)


@page()
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: phase, steps, traffic and gates."""
    return render(request, "rollouts/_status.html", _status(reach.rollout_for(request.user, pk)))


@page()
def controls(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: the buttons; apart from the status so that they are replaced only when they change."""
    return render(request, "rollouts/_controls.html", _controls(request, reach.rollout_for(request.user, pk)))


@page()
def approval(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: what is asked, who answered what, and the buttons to answer."""
    return render(request, "rollouts/_approval.html", _approval(request, reach.rollout_for(request.user, pk)))


@page()
def timeline(request: HttpRequest, pk: int) -> HttpResponse:
    """What happened, newest first: a fragment for the live page, a page of its own for older entries."""
    before = request.GET.get("before", "")
    context = _timeline(reach.rollout_for(request.user, pk), int(before) if before.isdecimal() else None)
    fragment = getattr(request, "htmx", False)
    return render(request, f"rollouts/{'_timeline_card' if fragment else 'timeline'}.html", context)


@page()
def charts(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: charts of both versions with the steps marked on the time axis."""
    row = reach.rollout_for(request.user, pk)
    now = timezone.now()
    end = min(now, row.finished_at + TAIL) if row.finished_at else now
    drawn = endpoint_charts(
        row.endpoint.name,
        stable=row.stable.version.ref,
        candidate=row.candidate.version.ref,
        window=Window(start=row.created_at - LEAD, end=end),
        marks=step_marks(queries.timeline(row)),
        profile=row.candidate.version.profile,
    )
    return show(request, drawn, still=end < now)


def _status(row: Rollout) -> dict[str, Any]:
    view = rollout_view(row, timezone.now(), queries.causes([row]).get(row.pk, ""))
    look = queries.deciding_look(row)
    return {
        "rollout": row,
        "view": view,
        "traffic": None if view.over else traffic(row.endpoint, row),
        "look": look,
        "verdict": verdict_badge(look.verdict) if look else None,
        "gates": gate_rows(look.judgement) if look else (),
        "hook_calls": call_views(row),
    }


def _controls(request: HttpRequest, row: Rollout) -> dict[str, Any]:
    freeze = freeze_of(row.endpoint.environment_id, timezone.now())
    pointless = idle_verbs(snapshot_of(row), frozen=freeze is not None)
    if row.strategy not in STARTABLE:
        # A rollback is not tried again: it is asked for on the endpoint's page.
        pointless |= {RETRY}
    shown = buttons(Phase(row.phase), permissions_of(request.user, row.endpoint.model))
    return {
        "rollout": row,
        "over": is_over(row),
        "buttons": [button for button in shown if button.verb not in pointless],
    }


def _approval(request: HttpRequest, row: Rollout) -> dict[str, Any]:
    snapshot = snapshot_of(row)
    if not asks(snapshot):
        return {"approval": None}
    why_not = approvals.why_not(row, actor_for(request), role_of(request.user, row.endpoint.model))
    view = approval_view(snapshot, approvals.votes_of(row), why_not)
    return {"rollout": row, "over": is_over(row), "approval": view}


def _earlier(row: Rollout) -> dict[str, Any]:
    look = queries.deciding_look(row)
    return {
        "view": rollout_view(row, timezone.now()),
        "look": look,
        "gates": gate_rows(look.judgement) if look else (),
    }


def _timeline(row: Rollout, before: int | None = None) -> dict[str, Any]:
    rows = queries.timeline_page(row, ENTRIES + 1, before=before)
    return {
        "rollout": row,
        "over": before is not None or is_over(row),
        "entries": timeline_entries(rows[:ENTRIES]),
        "next": rows[ENTRIES - 1].number if len(rows) > ENTRIES else None,
        "first": before is None,
    }
