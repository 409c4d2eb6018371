"""Pages of alerts: what fires, one alert with its history, silences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from monitoring.alerting import evaluate, people
from monitoring.alerting.evaluate import active_silences
from monitoring.domain.alerts import State, silenced
from monitoring.models import Alert, AlertRule, AlertSilence
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require
from registry.web.door import explain, page

SHOWN = 100
HOURS = ((1, "1 hour"), (4, "4 hours"), (24, "a day"), (72, "3 days"), (168, "a week"))
_TONES = {State.PENDING: "hold", State.FIRING: "fail", State.NO_DATA: "hold", State.RESOLVED: "pass"}
_HEALTH = {"ok": "pass", "no_data": "hold", "error": "fail", "new": "hold"}


class SilenceForm(forms.Form):
    """For how long nobody is told of what."""

    rule = forms.CharField(required=False, max_length=128, help_text="A name; * stands for anything.")
    endpoint = forms.CharField(required=False, max_length=128)
    model = forms.CharField(required=False, max_length=128)
    hours = forms.TypedChoiceField(choices=HOURS, coerce=int, label="For")
    reason = forms.CharField(max_length=1000)

    def matchers(self) -> dict[str, str]:
        return {k: self.cleaned_data[k] for k in ("rule", "endpoint", "model") if self.cleaned_data[k]}


@page()
def alerts(request: HttpRequest) -> HttpResponse:
    """What fires, what waits, what has no data; the rules and their health; what was."""
    silences = active_silences(timezone.now())
    found = people.alerts(request.user)[:SHOWN]
    order = {State.FIRING: 0, State.NO_DATA: 1, State.PENDING: 2}
    rows = sorted((_shown(alert, silences) for alert in found), key=lambda row: order[row["state"]])
    context = {
        "rows": rows,
        # The nearest series may be of a model that this user must not know of.
        "rules": [_rule(row, may(request.user, Permission.VIEW)) for row in people.rules()],
        "past": [
            _shown(alert, [])
            for alert in people.alerts(request.user, open_only=False).exclude(ended_at=None)[:20]
        ],
        "may_change": may(request.user, Permission.PROMOTE),
    }
    template = "monitoring/_alerts.html" if request.headers.get("HX-Request") else "monitoring/alerts.html"
    return render(request, template, context)


@page("GET", "HEAD", "POST")
def alert(request: HttpRequest, pk: int) -> HttpResponse:
    """One alert with its history, and the button that says that somebody has it in hand."""
    if not Alert.objects.filter(pk=pk).exists():
        # It was pending when somebody saw the link: a breach that does not last leaves no trace.
        messages.info(request, f"Alert {pk} is gone: its breach did not last long enough to fire.")
        return redirect("monitoring:alerts")
    row = people.alert_by_id(request.user, pk)
    model = people.model_of_alert(row)
    if request.method == "POST":
        require(request.user, Permission.CONTROL_ROLLOUT, model)
        comment = request.POST.get("comment", "")
        try:
            people.acknowledge(row, actor=actor_for(request), comment=comment)
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, "Acknowledged: it is not told again while it fires.")
        return redirect("monitoring:alert", pk=pk)
    context = {
        **_shown(row, active_silences(timezone.now())),
        "events": row.events.all(),
        "rule_text": row.rule.rule.condition(),
        "description": row.rule.rule.description,
        "may_act": row.is_open and row.acknowledged_at is None
        and may(request.user, Permission.CONTROL_ROLLOUT, model),
        "may_silence": row.is_open and may(request.user, Permission.CONTROL_ROLLOUT),
        "may_change": may(request.user, Permission.PROMOTE),
    }  # fmt: skip
    return render(request, "monitoring/alert.html", context)


@page("GET", "HEAD", "POST")
def silences(request: HttpRequest) -> HttpResponse:
    """The silences, and a form for another one."""
    first = {name: request.GET[name] for name in ("rule", "endpoint", "model") if name in request.GET}
    form = SilenceForm(request.POST if request.method == "POST" else None, initial=first)
    allowed = may(request.user, Permission.CONTROL_ROLLOUT)
    if request.method == "POST":
        require(request.user, Permission.CONTROL_ROLLOUT)
        if form.is_valid() and _silence(request, form):
            return redirect("monitoring:silences")
    now = timezone.now()
    rows = [
        {"row": row, "active": row.starts_at <= now < row.ends_at}
        for row in AlertSilence.objects.all()[:SHOWN]
    ]
    context = {"form": form, "rows": rows, "may_change": allowed}
    return render(request, "monitoring/silences.html", context, status=400 if form.errors else 200)


def _silence(request: HttpRequest, form: SilenceForm) -> bool:
    try:
        people.add_silence(
            matchers=form.matchers(),
            ends_at=timezone.now() + timedelta(hours=form.cleaned_data["hours"]),
            reason=form.cleaned_data["reason"],
            actor=actor_for(request),
        )
    except DomainError as error:
        explain(form, error)
        return False
    messages.success(request, "Nobody is told of matching alerts until then; they are shown all the same.")
    return True


@page("POST", permission=Permission.CONTROL_ROLLOUT, everywhere=True)
def end_silence(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends a silence now."""
    people.end_silence(pk, actor=actor_for(request))
    messages.success(request, "The silence is over.")
    return redirect("monitoring:silences")


def _shown(row: Alert, quiet: list[Any]) -> dict[str, Any]:
    """An alert as the templates show it."""
    rule, state = row.rule.rule, State(row.state)
    return {
        "alert": row,
        "state": state,
        "badge": {"text": state.value.replace("_", " ").capitalize(), "tone": _TONES.get(state, "hold")},
        "what": evaluate.sentence(row, rule),
        "worst": rule.figure(row.worst) if row.worst is not None else "–",
        "silenced": silenced(row.labels, quiet),
    }


def _rule(row: AlertRule, all_seen: bool) -> dict[str, Any]:
    rule, nearest = row.rule, row.readings[0] if row.readings and all_seen else None
    where = ", ".join(part for part in (rule.endpoint, rule.model, rule.column) if part)
    return {
        "row": row,
        "condition": rule.condition(),
        "where": where or "everything",
        "severity": rule.severity,
        "badge": {
            "text": row.get_health_display().capitalize() if row.enabled else "Off",
            "tone": _HEALTH[row.health] if row.enabled else "hold",
        },
        "nearest": rule.figure(nearest[4]) if nearest else "–",
        "nearest_of": " ".join(filter(None, (nearest[0], f"v{nearest[2]}", nearest[3]))) if nearest else "",
    }
