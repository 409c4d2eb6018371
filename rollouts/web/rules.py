"""Forms of what an environment asks: freeze windows and the policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms

from registry.domain.findings import GATING
from registry.domain.roles import Role
from registry.errors import DomainError
from rollouts.domain.hooks import ASKED, TOLD, HookRequest
from rollouts.domain.policy import MOMENTS, Policy, Requirement
from rollouts.models import Environment
from rollouts.web.calendar import HOOK_MOMENTS, RECURRENCES
from rollouts.web.look import sentence

OTHER = "other"
HOUR = 3600
_MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
_WHY = forms.Textarea(attrs={"rows": 2})


class FreezeForm(forms.Form):
    """A freeze window; its times are wall-clock times of its zone."""

    environment = forms.ChoiceField(label="Environment", required=False)
    starts_at = forms.DateTimeField(label="From", widget=_MOMENT)
    ends_at = forms.DateTimeField(label="To", widget=_MOMENT)
    timezone = forms.CharField(
        label="Time zone", initial="UTC", max_length=64, help_text="Of both times, such as Europe/Berlin."
    )
    recurrence = forms.ChoiceField(
        label="Repeats",
        required=False,
        choices=[*RECURRENCES.items(), (OTHER, "By the rule below")],
        help_text="In wall-clock time, also when the clocks change.",
    )
    rule = forms.CharField(
        label="Rule",
        required=False,
        max_length=200,
        help_text="RFC 5545, such as FREQ=WEEKLY;BYDAY=FR;UNTIL=20271231T000000.",
    )
    reason = forms.CharField(
        label="Reason", max_length=200, widget=_WHY, help_text="People who are held by it read it."
    )

    def __init__(self, *args: Any, environments: Sequence[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["environment"]
        field.choices = [("", "Every environment"), *((row.name, row.name) for row in environments)]

    def clean_timezone(self) -> str:
        """A zone that exists."""
        zone: str = self.cleaned_data["timezone"]
        if zone not in available_timezones():
            raise forms.ValidationError(f"“{zone}” is not a time zone. Write one such as Europe/Berlin.")
        return zone

    def clean(self) -> dict[str, Any]:
        """Both times in the chosen zone, and one recurrence rule."""
        data: dict[str, Any] = self.cleaned_data
        if data.get("recurrence") == OTHER:
            data["recurrence"] = data.get("rule", "").strip()
            if not data["recurrence"]:
                self.add_error("rule", "Write the rule, or choose a recurrence above.")
        elif data.get("rule"):
            self.add_error("rule", "Choose “By the rule below” above, or leave this empty.")
        if "timezone" in data:
            for name in ("starts_at", "ends_at"):
                moment = data.get(name)
                if isinstance(moment, datetime):
                    data[name] = moment.replace(tzinfo=ZoneInfo(data["timezone"]))
        return data

    def blame(self, error: DomainError) -> None:
        """Puts a domain error next to the field it is about."""
        text = f"{sentence(error.message)} {error.hint or ''}".strip()
        self.add_error(error.field if error.field in self.fields else None, text)


class PolicyForm(forms.Form):
    """An environment's policy without JSON: one approval at most before each moment, each hook once."""

    four_eyes = forms.BooleanField(
        label="Four eyes",
        required=False,
        help_text="Nobody approves a rollout of their own.",
    )
    after = forms.ChoiceField(
        label="First in",
        required=False,
        help_text="The same artifact must have succeeded there before it may start here.",
    )
    parity = forms.BooleanField(
        label="Parity",
        required=False,
        help_text="A version must give the answers that were shipped with its reference set.",
    )
    without = forms.MultipleChoiceField(
        label="Does not start with",
        required=False,
        choices=list(GATING.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text="Findings of the inspection that keep a version from being rolled out here.",
    )
    reason = forms.CharField(label="Reason", max_length=1000, widget=_WHY, help_text="Kept in the audit log.")

    def __init__(
        self, *args: Any, policy: Policy, others: Sequence[str], hooks: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["after"]
        field.choices = [("", "Nowhere"), *((name, name) for name in others)]
        self.fields["after"].initial = policy.after
        self.fields["four_eyes"].initial = policy.four_eyes
        self.fields["parity"].initial = policy.parity
        self.fields["without"].initial = list(policy.without)
        for moment in MOMENTS:
            asked = next((n for n in policy.approvals if n.before == moment), None)
            self._add_moment(moment, asked)
        present = {hook.name: hook for hook in policy.hooks}
        self._hooks = list(dict.fromkeys([*present, *hooks]))
        for number, name in enumerate(self._hooks):
            self._add_hook(number, present.get(name, HookRequest(name, on=())))

    def _add_hook(self, number: int, asked: HookRequest) -> None:
        self.fields[f"hook{number}_on"] = forms.MultipleChoiceField(
            label="Has its say",
            required=False,
            choices=[(moment, HOOK_MOMENTS[moment]) for moment in (*ASKED, *TOLD)],
            widget=forms.CheckboxSelectMultiple,
            initial=asked.on,
        )
        self.fields[f"hook{number}_refusal"] = forms.ChoiceField(
            label="When it says no",
            choices=[("hold", "a person decides"), ("roll_back", "roll back")],
            initial=asked.refusal,
        )
        self.fields[f"hook{number}_seconds"] = forms.FloatField(
            label="Waits for its answer (seconds)",
            min_value=1,
            initial=float(f"{asked.seconds:.10g}"),
        )

    def _add_moment(self, moment: str, asked: Requirement | None) -> None:
        self.fields[f"{moment}_count"] = forms.IntegerField(
            label="Approvals", min_value=0, max_value=20, initial=asked.count if asked else 0
        )
        self.fields[f"{moment}_group"] = forms.ChoiceField(
            label="By",
            choices=[(role.value, role.display) for role in Role],
            initial=asked.group if asked else Role.RELEASE_MANAGER.value,
        )
        self.fields[f"{moment}_hours"] = forms.FloatField(
            label="Within (hours)",
            min_value=0.01,
            max_value=8760,
            initial=float(f"{(asked.seconds if asked else 86_400) / HOUR:.10g}"),
        )

    def moments(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields of each moment, with its name in words."""
        words = {"start": "Before a rollout starts", "promotion": "Before all traffic moves"}
        parts = ("count", "group", "hours")
        return [(words[moment], [self[f"{moment}_{part}"] for part in parts]) for moment in MOMENTS]

    def hook_fields(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields of each hook that there is, with its name."""
        parts = ("on", "refusal", "seconds")
        return [
            (name, [self[f"hook{number}_{part}"] for part in parts])
            for number, name in enumerate(self._hooks)
        ]

    def _asked_hooks(self) -> list[dict[str, Any]]:
        data = self.cleaned_data
        return [
            {
                "name": name,
                "on": data[f"hook{number}_on"],
                "refusal": data[f"hook{number}_refusal"],
                "seconds": data[f"hook{number}_seconds"],
            }
            for number, name in enumerate(self._hooks)
            if data[f"hook{number}_on"]
        ]

    def policy(self) -> dict[str, Any]:
        """The document of `rollouts.domain.policy.Policy`."""
        data = self.cleaned_data
        return {
            "approvals": [
                {
                    "before": moment,
                    "count": data[f"{moment}_count"],
                    "group": data[f"{moment}_group"],
                    "seconds": round(data[f"{moment}_hours"] * HOUR),
                }
                for moment in MOMENTS
                if data[f"{moment}_count"]
            ],
            "four_eyes": data["four_eyes"],
            "after": data["after"],
            **({"parity": True} if data["parity"] else {}),
            **({"without": data["without"]} if data["without"] else {}),
            **({"hooks": hooks} if (hooks := self._asked_hooks()) else {}),
        }


def fits(policy: Policy) -> bool:
    """Whether the form can show the policy without losing an approval, a group of its own or a hook's second
    entry."""
    moments = [requirement.before for requirement in policy.approvals]
    known = all(requirement.group in list(Role) for requirement in policy.approvals)
    hooks = [hook.name for hook in policy.hooks]
    return len(moments) == len(set(moments)) and known and len(hooks) == len(set(hooks))
