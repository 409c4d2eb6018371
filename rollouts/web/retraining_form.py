"""The retraining policy as a form: its document to fields, and back."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from rollouts.domain.retraining import HIGHER, LOWER, RetrainingPolicy
from rollouts.domain.strategies import STARTABLE
from rollouts.web.look import STRATEGIES

BETTER = ((HIGHER, "higher is better"), (LOWER, "lower is better"))
_FLOOR = ("label", "metric", "limit", "better", "min_labels")


class PolicyForm(forms.Form):
    """When training is asked for, what the version that comes back must show, and why the policy changes."""

    enabled = forms.BooleanField(required=False, label="Ask for training by itself")
    hook = forms.ChoiceField(required=False, help_text="It is called, signed, with the evidence.")
    drift = forms.BooleanField(required=False, label="When the stable version drifts")
    quality = forms.BooleanField(required=False, label="When its quality falls")
    quality_label = forms.CharField(required=False, max_length=128, label="Label", initial="label")
    quality_metric = forms.CharField(required=False, max_length=128, label="Figure", initial="accuracy")
    quality_limit = forms.FloatField(required=False, label="Must not be worse than")
    quality_better = forms.ChoiceField(choices=BETTER, required=False, label="Of it")
    quality_min_labels = forms.IntegerField(required=False, initial=100, label="Labels an hour, at least")
    readings = forms.IntegerField(initial=2, label="Readings in a row", help_text="Hours that must agree.")
    cooldown_hours = forms.FloatField(initial=24, label="Hours between two requests")
    daily_cap = forms.IntegerField(initial=1, label="Requests a day, at most")
    metrics = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"}),
        help_text="Hold-out metrics on which it must beat the champion, one per line: auc higher 0.8. "
        "The number is a limit to reach as well, and may be left out.",
    )
    strategy = forms.ChoiceField(choices=[(name, STRATEGIES[name]) for name in STARTABLE])
    parameters = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
        label="Parameters of the rollout (JSON)",
        help_text="Empty: the strategy's own.",
    )
    reason = forms.CharField(max_length=1000, required=False, label="Reason")

    def __init__(self, *args: Any, hooks: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["hook"]
        field.choices = [("", "none"), *((name, name) for name in hooks)]

    def clean_parameters(self) -> Any:
        text = self.cleaned_data["parameters"].strip()
        try:
            return json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"It is no JSON: {error}.") from error

    def clean_metrics(self) -> list[dict[str, Any]]:
        return [_metric(line) for line in self.cleaned_data["metrics"].splitlines() if line.strip()]

    def document(self) -> dict[str, Any]:
        """The policy's document, as REST takes it."""
        said = dict(self.cleaned_data)
        del said["reason"]
        floor = {name: said.pop(f"quality_{name}") for name in _FLOOR}
        known = {name: value for name, value in floor.items() if value not in (None, "")}
        return {**said, "quality": known if said["quality"] else None}


def fields_of(policy: RetrainingPolicy) -> dict[str, Any]:
    """The form's first values."""
    document = policy.to_dict()
    floor = document.pop("quality")
    return {
        **document,
        "quality": floor is not None,
        **{f"quality_{name}": value for name, value in (floor or {}).items()},
        "metrics": "\n".join(
            f"{metric.name} {metric.better}" + ("" if metric.limit is None else f" {metric.limit:g}")
            for metric in policy.metrics
        ),
        "parameters": json.dumps(document["parameters"], indent=1) if document["parameters"] else "",
    }


def field_of(path: str | None) -> str:
    """The form's field of a path in the document, such as `quality.limit` or `metrics[0].name`."""
    whole = path or ""
    return whole.replace(".", "_", 1) if whole.startswith("quality.") else whole.split(".")[0].split("[")[0]


def _metric(line: str) -> dict[str, Any]:
    """`name better [limit]`; names may hold spaces."""
    words = line.split()
    limit = None
    if words[-1] not in (HIGHER, LOWER):
        try:
            limit = float(words.pop())
        except ValueError:
            words = []
    if len(words) < 2 or words[-1] not in (HIGHER, LOWER):
        raise forms.ValidationError(f"{line.strip()[:80]!r} is no metric; write such as: auc higher 0.8.")
    return {"name": " ".join(words[:-1]), "better": words[-1], "limit": limit}
