"""Pages of batch inference: starting a job over tables, watching it, cancelling and resuming it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from monitoring.models import ScoringJob
from monitoring.scoring import engine, jobs
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require
from registry.models import Version
from registry.queries import version_by_number
from registry.web.door import explain, model_of, page

SHOWN, RECENT = 50, 3
_TONES = {"queued": "hold", "running": "info", "succeeded": "pass", "failed": "fail", "cancelled": "hold"}
_DRIFT = {"stable": "pass", "moderate": "hold", "drifted": "fail"}


class StartForm(forms.Form):
    """Where the tables are, and where the answers go."""

    source = forms.CharField(max_length=500, help_text="A folder or one file: CSV, Parquet or NPZ.")
    target = forms.CharField(max_length=500, help_text="A folder for the answers; empty, or one to go on in.")
    chunk_rows = forms.IntegerField(
        label="Rows a chunk", initial=engine.CHUNK_ROWS, min_value=1, max_value=engine.MAX_CHUNK_ROWS
    )


@page("GET", "HEAD", "POST")
def of_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The jobs of one version, and the form that starts another one."""
    model = model_of(request)
    version = version_by_number(model, number)
    form = StartForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        require(request.user, Permission.REGISTER, model)
        if form.is_valid():
            try:
                job = jobs.start(version=version, actor=actor_for(request), **form.cleaned_data)
            except DomainError as error:
                explain(form, error)
            else:
                return redirect("monitoring:scoring", pk=job.pk)
    context = {
        "model": model,
        "version": version,
        "form": form,
        "rows": _rows(request, version, SHOWN),
        "places": jobs.places().shown(),
        "why_not": _why_not(version),
        "may_start": may(request.user, Permission.REGISTER, model),
    }
    return render(request, "monitoring/scorings_of.html", context, status=400 if form.errors else 200)


@page()
def recent(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The newest jobs, for the version's page."""
    version = version_by_number(model_of(request), number)
    context = {
        "model": version.model,
        "version": version,
        "rows": _rows(request, version, RECENT),
        "possible": not _why_not(version),
    }
    return render(request, "monitoring/_scorings_recent.html", context)


@page()
def scorings(request: HttpRequest) -> HttpResponse:
    """The newest jobs of every model that may be seen."""
    rows = [_shown(job) for job in jobs.visible_to(request.user)[:SHOWN]]
    return render(request, "monitoring/scorings.html", {"rows": rows})


@page()
def scoring(request: HttpRequest, pk: int) -> HttpResponse:
    """One job; the fragment of its progress when htmx asks."""
    job = jobs.by_id(request.user, pk)
    may_act = may(request.user, Permission.REGISTER, job.version.model)
    outputs = (job.result or {}).get("outputs", [])
    context = {
        **_shown(job),
        "version": job.version,
        "model": job.version.model,
        "outputs": [{**output, "tone": _DRIFT.get(output["state"], "hold")} for output in outputs],
        "drift_tone": _DRIFT.get((job.result or {}).get("state", ""), "hold"),
        "may_cancel": job.is_open and may_act,
        "may_resume": job.state in {"failed", "cancelled"} and may_act,
    }
    template = "monitoring/_scoring.html" if request.headers.get("HX-Request") else "monitoring/scoring.html"
    return render(request, template, context)


@page("POST")
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stops a job; what is done stays."""
    return _act(request, pk, jobs.cancel, "Cancelled; its parts stay and it can be resumed.")


@page("POST")
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Goes on with a job."""
    return _act(request, pk, jobs.resume, "It goes on after its last part.")


def _act(request: HttpRequest, pk: int, verb: Any, said: str) -> HttpResponse:
    job = jobs.by_id(request.user, pk)
    require(request.user, Permission.REGISTER, job.version.model)
    try:
        verb(job, actor=actor_for(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    return redirect("monitoring:scoring", pk=pk)


def _rows(request: HttpRequest, version: Version, most: int) -> list[dict[str, Any]]:
    found = jobs.visible_to(request.user).filter(version=version)[:most]
    return [_shown(job) for job in found]


def _why_not(version: Version) -> str:
    try:
        engine.check_scorable(version)
    except DomainError as error:
        return error.message
    return ""


def _shown(job: ScoringJob) -> dict[str, Any]:
    return {"job": job, "badge": {"text": job.get_state_display(), "tone": _TONES[job.state]}}
