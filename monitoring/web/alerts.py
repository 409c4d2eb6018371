"""Pages of alerts: what fires, one alert with its history, the rules, silences."""

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
from monitoring.domain.alerts import SERIES, State, silenced
from monitoring.domain.alerts.rules import OPERATORS
from monitoring.domain.notices import Severity
from monitoring.models import Alert, AlertRule, AlertSilence
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for, may, require
from registry.web.door import explain, page

SHOWN = 100
HOURS = ((1, "1 hour"), (4, "4 hours"), (24, "a day"), (72, "3 days"), (168, "a week"))
_TONES = {State.PENDING: "hold", State.FIRING: "fail", State.NO_DATA: "hold", State.RESOLVED: "pass"}
_HEALTH = {"ok": "pass", "no_data": "hold", "error": "fail", "new": "hold"}


class RuleForm(forms.Form):
    """A rule's fields; the rest has its defaults and can be set over REST."""

    name = forms.CharField(max_length=63, help_text="Such as slow_churn: a-z, 0-9 and _.")
    series = forms.ChoiceField(choices=[(key, f"{kind.noun} ({key})") for key, kind in SERIES.items()])
    operator = forms.ChoiceField(choices=[(item, item) for item in OPERATORS], label="Is")
    threshold = forms.FloatField(help_text="Milliseconds, a ratio of 1, or the series' own unit.")
    for_seconds = forms.IntegerField(label="For (s)", initial=300, min_value=0)
    window_seconds = forms.IntegerField(label="Measured over (s)", initial=60, min_value=10)
    severity = forms.ChoiceField(choices=[(item.value, item.value) for item in Severity], initial="warning")
    endpoint = forms.CharField(required=False, max_length=100, help_text="Empty: every endpoint.")
    model = forms.CharField(required=False, max_length=100, help_text="Empty: every model.")
    metric = forms.CharField(required=False, max_length=200, help_text="Only for a gauge or a rate.")
    reason = forms.CharField(max_length=1000)


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
    }  # fmt: skip
    return render(request, "monitoring/alert.html", context)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def new_rule(request: HttpRequest) -> HttpResponse:
    """The form of a new rule."""
    form = RuleForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        document: dict[str, Any] = dict(form.cleaned_data)
        reason = document.pop("reason")
        try:
            row = people.add_rule(document, actor=actor_for(request), reason=reason)
        except DomainError as error:
            error.field = (error.field or "").rpartition(".")[2]
            explain(form, error)
        else:
            messages.success(request, f"{row.name} is evaluated from now on.")
            return redirect("monitoring:alerts")
    return render(
        request, "monitoring/alert_rule_new.html", {"form": form}, status=400 if form.errors else 200
    )


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def switch_rule(request: HttpRequest, rule: str, to: str) -> HttpResponse:
    """Switches a rule on or off."""
    people.change_rule(
        rule, {}, actor=actor_for(request), reason=f"switched {to} on the page", enabled=to == "on"
    )
    messages.success(request, f"{rule} is {to}.")
    return redirect("monitoring:alerts")


@page("GET", "HEAD", "POST")
def silences(request: HttpRequest) -> HttpResponse:
    """The silences, and a form for another one."""
    form = SilenceForm(request.POST if request.method == "POST" else None)
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
