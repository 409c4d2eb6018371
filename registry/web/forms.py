"""The forms of the registry's pages; what they mean is checked by the domain."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django import forms

from registry.domain.plain import read_json
from registry.domain.roles import Permission, Role
from registry.errors import Invalid
from registry.web.change_forms import tags_of

_SAID = (
    "label", "parent", "framework", "git_sha", "training_run", "dataset_ref", "dataset_digest", "notes",
    "feature_schema_version",
)  # fmt: skip


class ModelForm(forms.Form):
    name = forms.CharField(
        max_length=128, help_text="Letters, digits, '.', '_' and '-'. It appears in URLs and metric labels."
    )
    owner_team = forms.CharField(max_length=128, required=False, label="Owner team")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))


class UploadForm(forms.Form):
    artifact = forms.FileField(
        label="Model file",
        allow_empty_file=True,
        help_text="An ONNX model, or another format to record. Large files go in parts and can be resumed.",
    )
    reference = forms.FileField(
        required=False,
        label="Reference set",
        allow_empty_file=True,
        help_text="A NumPy .npz with X and optionally y, or CSV or Parquet with the features as columns. "
        "The baseline profile is computed from it.",
    )
    label = forms.CharField(max_length=64, required=False, help_text="A semantic version such as 1.4.0.")
    parent = forms.IntegerField(
        required=False,
        min_value=1,
        label="Parent version",
        help_text="The version this one was trained from.",
    )
    framework = forms.CharField(max_length=128, required=False, help_text="For example scikit-learn 1.7.")
    git_sha = forms.CharField(max_length=64, required=False, label="Git commit")
    training_run = forms.CharField(max_length=500, required=False, label="Training run")
    dataset_ref = forms.CharField(max_length=500, required=False, label="Data set")
    dataset_digest = forms.CharField(max_length=128, required=False, label="Data set digest")
    feature_schema_version = forms.CharField(max_length=64, required=False, label="Feature schema version")
    metrics = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}),
        help_text="One per line: rmse = 53.1",
    )
    tags = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}),
        help_text="One per line: stage = dev",
    )
    hyperparameters = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}), help_text="A JSON object."
    )
    feature_names = forms.CharField(
        required=False,
        label="Feature names",
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}),
        help_text="One per line, in the order of the model's input columns.",
    )
    dependencies = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}),
        help_text="One per line, as pip freeze prints them.",
    )
    notes = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    # Completed uploads, in place of the files; those of a folder as the API takes them.
    artifact_upload = forms.UUIDField(required=False, widget=forms.HiddenInput)
    folder_uploads = forms.JSONField(required=False, widget=forms.HiddenInput)
    folder_name = forms.CharField(max_length=255, required=False, widget=forms.HiddenInput)
    reference_upload = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sent = self.data.get("artifact_upload") or self.data.get("folder_uploads")
        self.fields["artifact"].required = not sent

    def full_clean(self) -> None:
        super().full_clean()
        # Shown again, the form asks for a file as it did at first.
        self.fields["artifact"].required = True

    def metadata(self) -> dict[str, Any]:
        """The fields as the metadata document of the API; `Invalid` for lines that cannot be read."""
        data = self.cleaned_data
        said = {name: data[name] for name in _SAID}
        return said | {
            "metrics": _metrics(data["metrics"]),
            "hyperparameters": _document(data["hyperparameters"]),
            "tags": tags_of(data["tags"]),
            "feature_names": _lines(data["feature_names"]),
            "dependencies": _lines(data["dependencies"]),
        }


class ProfileForm(forms.Form):
    reference = forms.FileField(
        label="Reference set",
        allow_empty_file=True,
        help_text="A NumPy .npz with X and optionally y, or CSV or Parquet with the features as columns.",
    )


class TokenForm(forms.Form):
    EXPIRY = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "never"))

    name = forms.CharField(max_length=100, help_text="What it is for, such as CI of the churn model.")
    expires = forms.ChoiceField(choices=EXPIRY, required=False, initial="90", label="Expires after")
    scopes = forms.MultipleChoiceField(
        choices=[(p.value, p.value.replace("_", " ").capitalize()) for p in Permission],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: everything the roles allow.",
    )
    limit = forms.CharField(
        max_length=134,
        required=False,
        label="Only for",
        help_text="A model's name, or team: and a team's name. Empty: everything the roles reach.",
    )

    def lifetime(self) -> timedelta | None:
        """How long the token lives, None for ever."""
        days = self.cleaned_data["expires"]
        return timedelta(days=int(days)) if days else None


class GrantForm(forms.Form):
    user = forms.CharField(max_length=150, label="User or service account")
    role = forms.ChoiceField(choices=[(role.value, role.display) for role in Role])
    team = forms.CharField(max_length=128, required=False, help_text="On the models of this team.")
    model = forms.CharField(
        max_length=128, required=False, help_text="On this model. Neither: on everything."
    )
    reason = forms.CharField(max_length=500, required=False)


class AccountForm(forms.Form):
    name = forms.CharField(max_length=128, help_text="Letters, digits, '.', '_' and '-', such as ci-churn.")
    description = forms.CharField(max_length=500, required=False)


class PersonForm(forms.Form):
    name = forms.CharField(max_length=150, help_text="What the person signs in with, such as ada.")
    email = forms.EmailField(required=False, label="E-mail")
    role = forms.ChoiceField(
        choices=[("", "none yet"), *((role.value, role.display) for role in Role)],
        required=False,
        label="Role on everything",
        help_text="Roles on a team or on a model are granted on the page Access.",
    )
    reason = forms.CharField(max_length=2000, required=False, help_text="For the audit trail.")


def _like(example: str) -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": example})


class SearchForm(forms.Form):
    search = forms.CharField(required=False, label="Search", max_length=200)


class AuditForm(forms.Form):
    """A target stands for what lies below it, too; who and what are compared as a whole."""

    target = forms.CharField(required=False, max_length=512, widget=_like("models/churn"))
    actor = forms.CharField(required=False, max_length=150, widget=_like("ada"))
    action = forms.CharField(required=False, max_length=64, widget=_like("version.register"))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _metrics(text: str) -> dict[str, float]:
    metrics = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, sign, value = line.rpartition("=") if "=" in line else line.rpartition(":")
        try:
            number = float(value) if sign else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise Invalid(f"{line[:80]!r} is not a metric.", field="metrics", hint="Write name = number.")
        metrics[name.strip()] = number
    return metrics


def _document(text: str) -> Any:
    return read_json(text, field="hyperparameters") if text.strip() else None


class RetentionForm(forms.Form):
    keep = forms.IntegerField(
        min_value=0,
        max_value=1000,
        label="Versions that served production",
        help_text="How many of the last ones are kept; 0 keeps everything.",
    )
    reason = forms.CharField(max_length=2000, required=False, help_text="For the audit trail.")
