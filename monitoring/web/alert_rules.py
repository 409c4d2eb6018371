"""Pages of alert rules: adding one, changing it, switching it, removing it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from monitoring.alerting import people
from monitoring.domain.alerts import SERIES
from monitoring.domain.alerts.rules import OPERATORS
from monitoring.domain.notices import Severity
from monitoring.models import AlertRule
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import actor_for
from registry.web.door import explain, page


class RuleForm(forms.Form):
    """Every field of a rule; what is left empty has its default, which for some depends on the series."""

    series = forms.ChoiceField(choices=[(key, f"{kind.noun} ({key})") for key, kind in SERIES.items()])
    operator = forms.ChoiceField(choices=[(item, item) for item in OPERATORS], label="Is")
    threshold = forms.FloatField(help_text="Milliseconds, a ratio of 1, or the series' own unit.")
    for_seconds = forms.IntegerField(label="For (s)", initial=300, min_value=0)
    window_seconds = forms.IntegerField(
        label="Measured over (s)", required=False, min_value=10, help_text="Empty: 60, of drift 3,600."
    )
    severity = forms.ChoiceField(choices=[(item.value, item.value) for item in Severity], initial="warning")
    endpoint = forms.CharField(required=False, max_length=100, help_text="Empty: every endpoint.")
    model = forms.CharField(required=False, max_length=100, help_text="Empty: every model.")
    column = forms.CharField(required=False, max_length=200, help_text="Of drift. Empty: every column.")
    quantile = forms.FloatField(required=False, help_text="Of a latency. Empty: 0.95.")
    metric = forms.CharField(required=False, max_length=200, help_text="Only for a gauge or a rate.")
    min_samples = forms.IntegerField(
        label="Least samples", required=False, min_value=0, help_text="Empty: 20, of drift 500."
    )
    repeat_seconds = forms.IntegerField(
        label="Told again after (s)", required=False, min_value=60, help_text="Empty: 4 hours."
    )
    description = forms.CharField(required=False, max_length=500, help_text="What it means, and what to do.")
    reason = forms.CharField(max_length=1000)

    def document(self) -> dict[str, Any]:
        """The fields as a rule's document, without the reason."""
        said = {name: value for name, value in self.cleaned_data.items() if name != "reason"}
        return {name: value for name, value in said.items() if value is not None}


class NewRuleForm(RuleForm):
    """The same with a name, which a rule keeps."""

    name = forms.CharField(max_length=63, help_text="Such as slow_churn: a-z, 0-9 and _.")


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=1000)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def new_rule(request: HttpRequest) -> HttpResponse:
    """The form of a new rule."""
    form = NewRuleForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            row = people.add_rule(
                form.document(), actor=actor_for(request), reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            _explain(form, error)
        else:
            messages.success(request, f"{row.name} is evaluated from now on.")
            return redirect("monitoring:alerts")
    status = 400 if form.errors else 200
    return render(request, "monitoring/alert_rule_new.html", {"form": form}, status=status)


@page("GET", "HEAD", "POST", permission=Permission.PROMOTE, everywhere=True)
def rule(request: HttpRequest, rule: str) -> HttpResponse:
    """One rule with everything that can be changed about it."""
    row = people.rule_by_name(rule)
    form = RuleForm(request.POST if request.method == "POST" else None, initial=row.rule.to_dict())
    if request.method == "POST" and form.is_valid():
        try:
            people.change_rule(
                rule, form.document(), actor=actor_for(request), reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            _explain(form, error)
        else:
            messages.success(request, f"{rule} is changed; what it said before is put away.")
            return redirect("monitoring:alerts")
    return _rule_page(request, row, form, ReasonForm())


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def remove_rule(request: HttpRequest, rule: str) -> HttpResponse:
    """Removes a rule with its alerts and their history."""
    row, form = people.rule_by_name(rule), ReasonForm(request.POST)
    if not form.is_valid():
        return _rule_page(request, row, RuleForm(initial=row.rule.to_dict()), form)
    people.remove_rule(rule, actor=actor_for(request), reason=form.cleaned_data["reason"])
    messages.success(request, f"{rule} is removed with its history.")
    return redirect("monitoring:alerts")


@page("POST", permission=Permission.PROMOTE, everywhere=True)
def switch_rule(request: HttpRequest, rule: str, to: str) -> HttpResponse:
    """Switches a rule on or off."""
    people.change_rule(
        rule, {}, actor=actor_for(request), reason=f"switched {to} on the page", enabled=to == "on"
    )
    messages.success(request, f"{rule} is {to}.")
    return redirect("monitoring:alerts")


def _rule_page(request: HttpRequest, row: AlertRule, form: RuleForm, removal: ReasonForm) -> HttpResponse:
    context = {"row": row, "condition": row.rule.condition(), "form": form, "removal": removal}
    status = 400 if form.errors or removal.errors else 200
    return render(request, "monitoring/alert_rule.html", context, status=status)


def _explain(form: RuleForm, error: DomainError) -> None:
    """The domain names a field by its path, the form by its last part."""
    error.field = (error.field or "").rpartition(".")[2]
    explain(form, error)
