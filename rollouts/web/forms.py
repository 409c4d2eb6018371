"""Forms of the rollout pages: they read what was typed; the domain says whether it makes sense."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.urls import reverse_lazy

from registry.errors import DomainError
from registry.models import Version
from rollouts.domain.fields import NAME
from rollouts.domain.strategies import STARTABLE
from rollouts.domain.strategies.canary import DEFAULT_STEPS
from rollouts.errors import Invalid
from rollouts.models import Endpoint, PlanTemplateVersion
from rollouts.shelf import REFERENCE
from rollouts.web.document import read_document
from rollouts.web.look import STRATEGIES, sentence
from rollouts.web.strategy_fields import STRATEGY_FIELDS, named

_ROWS = forms.Textarea(attrs={"rows": 3})
_CODE = forms.Textarea(attrs={"rows": 12, "class": "mono", "spellcheck": "false"})
# Every field that is a parameter of some strategy.
PARAMETERS = frozenset(name for fields in STRATEGY_FIELDS.values() for name in fields.names)


class ReasonForm(forms.Form):
    """Why somebody does something; kept in the timeline and in the audit log."""

    reason = forms.CharField(
        label="Reason",
        max_length=1000,
        widget=_ROWS,
        error_messages={"required": "Say why: the reason is kept in the timeline and in the audit log."},
    )


class CommentForm(ReasonForm):
    """What somebody who approves wants to add."""

    reason = forms.CharField(label="Comment", max_length=1000, widget=_ROWS, required=False)


class ChooseEndpointForm(forms.Form):
    """The first question of a new rollout, when the address did not answer it."""

    endpoint = forms.ChoiceField(label="Endpoint", help_text="Where the new version is to take over.")

    def __init__(self, *args: Any, endpoints: Sequence[Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["endpoint"]
        field.choices = [
            (endpoint.name, f"{endpoint.name} ({endpoint.model.name})") for endpoint in endpoints
        ]


class StartForm(forms.Form):
    """A rollout of one version on one endpoint, with the fields of one strategy.

    Empty numbers take the strategy's defaults.
    """

    version = forms.ChoiceField(label="Candidate", help_text="The version that is to take the traffic.")
    strategy = forms.ChoiceField(
        label="Strategy",
        choices=[(name, STRATEGIES[name]) for name in STARTABLE],
        widget=forms.Select(
            attrs={
                "hx-post": reverse_lazy("rollouts:fields"),
                "hx-target": "#strategy",
                "hx-swap": "outerHTML",
                "hx-include": "#start",
            }
        ),
    )
    steps = forms.CharField(
        label="Steps in percent",
        initial=", ".join(map(str, DEFAULT_STEPS)),
        help_text="Rising shares of traffic, 1 to 99; 100 % follows by itself.",
    )
    hold_seconds = forms.FloatField(label="Hold (seconds)", initial=60, help_text="Waits at every step.")
    preview_seconds = forms.FloatField(
        label="Testers first (seconds)", initial=60, help_text="Only testers reach it for this long."
    )
    analyse_seconds = forms.FloatField(
        label="Analyse (seconds)", initial=300, help_text="Gates must pass over at least this long."
    )
    interval_seconds = forms.FloatField(
        label="Interval (seconds)", initial=60, help_text="Between two looks at the gates."
    )
    deadline_seconds = forms.FloatField(
        label="Deadline (seconds)",
        required=False,
        help_text="Undecided for longer than this: a person is asked.",
    )
    retire_after_seconds = forms.FloatField(
        label="Keep the old version warm (seconds)",
        required=False,
        help_text="Instant rollback for this long.",
    )
    mirror_percent = forms.IntegerField(
        label="Mirror (%)", required=False, help_text="Copies of requests; nobody sees the answers."
    )
    max_restarts = forms.IntegerField(
        label="Allowed crashes", required=False, help_text="More crashes of the candidate roll back."
    )
    replicas = forms.IntegerField(
        label="Servers", required=False, help_text="Of the candidate; at least the endpoint's."
    )
    no_surge = forms.BooleanField(
        label="Take the place of running servers",
        required=False,
        help_text="Without a server more than now: for clusters that have no GPU to spare. Of two or more.",
    )
    preview_header = forms.CharField(
        label="Testers’ header", required=False, max_length=64, help_text="Empty: x-slipway-version."
    )
    preview_value = forms.CharField(
        label="Its value", required=False, max_length=128, help_text="Empty: preview."
    )
    experiment_seconds = forms.FloatField(
        label="Compare for (seconds)", initial=259_200, help_text="Long enough to meet every kind of user."
    )
    percent = forms.IntegerField(
        label="Share of the candidate (%)", initial=50, required=False, help_text="Of the users."
    )
    key = forms.CharField(
        label="What tells users apart",
        required=False,
        max_length=80,
        help_text="A header, or cookie:name; empty: x-slipway-key.",
    )
    arm = forms.CharField(
        label="Or: who meets the candidate",
        required=False,
        max_length=200,
        help_text="Such as header:x-arm=b or cookie:arm=b, instead of a share.",
    )
    outcome = forms.CharField(
        label="What is compared", initial="label", max_length=100, help_text="The name that labels carry."
    )
    better = forms.ChoiceField(label="Better is", choices=[("higher", "higher"), ("lower", "lower")])
    min_effect = forms.FloatField(
        label="Least difference", required=False, help_text="Less than this is no difference."
    )
    min_samples = forms.IntegerField(
        label="Least labels", required=False, help_text="Of each version; empty: 100."
    )
    approvals = forms.IntegerField(label="Approvals", required=False, help_text="At the end; empty: 1.")
    gates = forms.CharField(
        label="Gates (JSON)",
        required=False,
        widget=_CODE,
        help_text="What must hold at every look, or the name of kept gates. Empty: the default gates.",
    )
    plan = forms.CharField(
        label="Plan (YAML or JSON)",
        max_length=50_000,
        widget=_CODE,
        help_text="The steps in order, the gates, and in seconds interval, deadline and ready_within.",
    )
    supersede = forms.BooleanField(
        label="Replace the rollout under way",
        required=False,
        help_text="Its traffic goes back to the stable version first, then this rollout starts.",
    )
    break_glass = forms.BooleanField(
        label="Break the glass",
        required=False,
        help_text="Neither a freeze nor an approval holds this rollout; timeline and audit log name you.",
    )
    template = forms.CharField(required=False, max_length=60, widget=forms.HiddenInput)
    keep_as = forms.CharField(
        label="Name of the template", required=False, max_length=53, help_text="Such as careful-canary."
    )
    keep_for = forms.ChoiceField(
        label="It fits",
        required=False,
        choices=[
            ("model environment", "this model in this environment"),
            ("model", "this model everywhere"),
            ("environment", "every model in this environment"),
            ("", "everything"),
        ],
    )
    reason = forms.CharField(
        label="Reason",
        max_length=1000,
        widget=_ROWS,
        help_text="Kept in the timeline and in the audit log.",
        error_messages={"required": "Say why this version is to be released."},
    )

    # The template that the form was filled in from, as read for this request.
    kept: PlanTemplateVersion | None = None

    def __init__(
        self,
        *args: Any,
        versions: Sequence[Version],
        strategy: str = STARTABLE[0],
        base: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """base: parameters of a template; those that the form has no field for are taken from there."""
        super().__init__(*args, **kwargs)
        self._base = base or {}
        self.chosen_strategy = named(self.data.get("strategy", "") if self.is_bound else strategy)
        self.layout = STRATEGY_FIELDS[self.chosen_strategy]
        for name in PARAMETERS:
            if name not in self.layout.names:
                del self.fields[name]
        for name, value in {"strategy": self.chosen_strategy, **(self.layout.initial or {})}.items():
            self.fields[name].initial = value
        field: Any = self.fields["version"]
        field.choices = [(version.ref, f"v{version.number} {version.label}".strip()) for version in versions]

    def clean_gates(self) -> Any:
        """The gates as JSON values, the name of kept ones, or None for the defaults."""
        text = self.cleaned_data["gates"].strip()
        if not text:
            return None
        if REFERENCE.fullmatch(text) and NAME.fullmatch(text.partition("@")[0]):
            return text
        try:
            return json.loads(text)
        except RecursionError as error:
            raise forms.ValidationError("It is nested too deeply.") from error
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                f"Line {error.lineno}, column {error.colno}: {error.msg}. Expected a JSON list of gates."
            ) from error

    def clean_key(self) -> dict[str, str] | None:
        """What tells users apart, as the strategy reads it."""
        typed = self.cleaned_data["key"].strip()
        return matching(typed) if typed else None

    def clean_arm(self) -> dict[str, str] | None:
        """Who meets the candidate, as the strategy reads it."""
        typed, _, value = self.cleaned_data["arm"].strip().partition("=")
        return {**matching(typed), "value": value} if typed else None

    def clean_plan(self) -> dict[str, Any]:
        """The plan as JSON values."""
        try:
            return read_document(self.cleaned_data["plan"])
        except Invalid as error:
            raise forms.ValidationError(f"{error.message} {error.hint}") from error

    @property
    def shown(self) -> list[forms.BoundField]:
        """The strategy's fields that stand beside each other."""
        return [self[name] for name in self.layout.shown]

    @property
    def wide(self) -> list[forms.BoundField]:
        """The strategy's fields that take a line each."""
        return [self[name] for name in self.layout.wide]

    @property
    def folded(self) -> list[forms.BoundField]:
        """The strategy's fields under “More settings”, without the gates."""
        return [self[name] for name in self.layout.folded if name != "gates"]

    @property
    def readable(self) -> bool:
        """Whether every parameter could be read; what the strategy says of them is another matter."""
        return not self.is_bound or not any(name in self.errors for name in self.layout.names)

    @property
    def errs_in_more(self) -> bool:
        """Whether a field of the folded part of the form has an error."""
        return any(name in self.errors for name in self.layout.folded)

    def parameters(self) -> dict[str, Any]:
        """The strategy's parameters as typed (of a fresh form: its defaults); the strategy validates them."""
        if self.chosen_strategy == "custom":
            typed: dict[str, Any] | None = self.cleaned_data["plan"] if self.is_bound else None
            return read_document(self._fresh("plan")) if typed is None else typed
        names = [name for name in self.layout.names if name != "steps"]
        fresh = {} if self.is_bound else {name: self._fresh(name) for name in names if name != "gates"}
        data = self.cleaned_data if self.is_bound else fresh
        given = {name: data[name] for name in names if data.get(name) not in (None, "")}
        given = {name: value for name, value in given.items() if value is not False}
        if "steps" in self.layout.names:
            given["steps"] = _percentages(data["steps"] if self.is_bound else self._fresh("steps"))
        if "arm" in given:
            # The share that the form shows at first is meant for the other way of dividing users.
            given = {name: value for name, value in given.items() if name not in {"percent", "key"}}
        return {**{k: v for k, v in self._base.items() if k not in self.layout.names}, **given}

    def _fresh(self, name: str) -> Any:
        """What a fresh form begins with, as a value; kept text that is no value gives way to the default."""
        try:
            return self.fields[name].to_python(self[name].initial)
        except forms.ValidationError:
            return self.fields[name].initial

    def blame(self, error: DomainError) -> None:
        """Puts a domain error next to the field it is about; other errors stand above the form."""
        path = (error.field or "").removeprefix("parameters.")
        name = path.split(".")[0].split("[")[0]
        if self.chosen_strategy == "custom" and (error.field or "").startswith("parameters."):
            name = "plan"
        shown = path if path != name or name not in self.fields else ""
        message = f"{shown}: {error.message}" if shown else sentence(error.message) if path else error.message
        self.add_error(name if name in self.fields else None, f"{message} {error.hint or ''}".strip())


def matching(text: str) -> dict[str, str]:
    """The text "cookie:uid", "header:x-user-id" or just "x-user-id" as a mapping."""
    by, colon, name = text.partition(":")
    return {by.strip().lower(): name.strip()} if colon else {"header": text}


def _percentages(text: str) -> list[Any]:
    """The text "5, 10 25" as [5, 10, 25]; what is no number stays text, so that the domain can name it."""
    words = text.replace(",", " ").replace("%", " ").split()
    return [int(word) if word.lstrip("-").isdigit() else word for word in words]
