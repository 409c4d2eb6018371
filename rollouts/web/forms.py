"""Forms of the rollout pages: they read what was typed; the domain says whether it makes sense."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms

from monitoring.domain.judge import DEFAULT_GATES
from registry.errors import DomainError
from registry.models import Version
from rollouts.domain.strategies import STARTABLE
from rollouts.domain.strategies.canary import DEFAULT_STEPS
from rollouts.models import Endpoint
from rollouts.web.look import sentence

_ROWS = forms.Textarea(attrs={"rows": 3})
NUMBERS = ("hold_seconds", "analyse_seconds", "interval_seconds", "deadline_seconds", "retire_after_seconds")
COUNTS = ("mirror_percent", "max_restarts", "replicas")
FOLDED = ("deadline_seconds", "retire_after_seconds", *COUNTS, "gates")
PARAMETERS = ("steps", *NUMBERS, *COUNTS, "gates")


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
    """A rollout of one version on one endpoint. Empty numbers take the strategy's defaults."""

    version = forms.ChoiceField(label="Candidate", help_text="The version that is to take the traffic.")
    strategy = forms.ChoiceField(label="Strategy", choices=[(name, name.capitalize()) for name in STARTABLE])
    steps = forms.CharField(
        label="Steps in percent",
        initial=", ".join(map(str, DEFAULT_STEPS)),
        help_text="Rising shares of traffic, 1 to 99; 100 % follows by itself.",
    )
    hold_seconds = forms.FloatField(label="Hold (seconds)", initial=60, help_text="Waits at every step.")
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
        label="Mirror first (%)", required=False, help_text="Copies of requests before anybody is exposed."
    )
    max_restarts = forms.IntegerField(
        label="Allowed crashes", required=False, help_text="More crashes of the candidate roll back."
    )
    replicas = forms.IntegerField(
        label="Servers", required=False, help_text="Of the candidate; at least the endpoint's."
    )
    gates = forms.CharField(
        label="Gates (JSON)",
        required=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "mono", "spellcheck": "false"}),
        help_text="What must hold at every look. Empty means the default gates.",
    )
    supersede = forms.BooleanField(
        label="Replace the rollout under way",
        required=False,
        help_text="Its traffic goes back to the stable version first, then this rollout starts.",
    )
    reason = forms.CharField(
        label="Reason",
        max_length=1000,
        widget=_ROWS,
        help_text="Kept in the timeline and in the audit log.",
        error_messages={"required": "Say why this version is to be released."},
    )

    def __init__(self, *args: Any, versions: Sequence[Version], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["version"]
        field.choices = [(version.ref, f"v{version.number} {version.label}".strip()) for version in versions]
        self.fields["gates"].initial = json.dumps([dict(gate) for gate in DEFAULT_GATES], indent=1)

    def clean_gates(self) -> Any:
        """The gates as JSON values, or None for the defaults."""
        text = self.cleaned_data["gates"].strip()
        if not text:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                f"Line {error.lineno}, column {error.colno}: {error.msg}. Expected a JSON list of gates."
            ) from error

    @property
    def readable(self) -> bool:
        """Whether every parameter could be read; what the strategy says of them is another matter."""
        return not self.is_bound or not any(name in self.errors for name in PARAMETERS)

    @property
    def errs_in_more(self) -> bool:
        """Whether a field of the folded part of the form has an error."""
        return any(name in self.errors for name in FOLDED)

    @property
    def chosen_strategy(self) -> str:
        """The chosen strategy; of a fresh form the first."""
        return self.cleaned_data.get("strategy", STARTABLE[0]) if self.is_bound else STARTABLE[0]

    def parameters(self) -> dict[str, Any]:
        """The strategy's parameters as typed (of a fresh form: its defaults); the strategy validates them."""
        data = self.cleaned_data if self.is_bound else {name: self[name].initial for name in PARAMETERS[:-1]}
        given = {name: data[name] for name in (*NUMBERS, *COUNTS, "gates") if data.get(name) is not None}
        return {"steps": _percentages(data["steps"]), **given}

    def blame(self, error: DomainError) -> None:
        """Puts a domain error next to the field it is about; other errors stand above the form."""
        path = (error.field or "").removeprefix("parameters.")
        name = path.split(".")[0].split("[")[0]
        shown = path if path != name or name not in self.fields else ""
        message = f"{shown}: {error.message}" if shown else sentence(error.message) if path else error.message
        self.add_error(name if name in self.fields else None, f"{message} {error.hint or ''}".strip())


def _percentages(text: str) -> list[Any]:
    """The text "5, 10 25" as [5, 10, 25]; what is no number stays text, so that the domain can name it."""
    words = text.replace(",", " ").replace("%", " ").split()
    return [int(word) if word.lstrip("-").isdigit() else word for word in words]
