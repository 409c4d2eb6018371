"""The forms with which people change models and versions; what they mean is checked by the services."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from registry.errors import Invalid
from registry.models import Model, Version

_LINES = forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"})
_TAG = re.compile(r"((?:[^=\\]|\\.)+)=(.*)")
_EDITED = {"notes", "description", "tags", "owner_team"}
_STALE = (
    "Somebody else changed it since you opened this form; nothing was saved. "
    "Send it again to write what stands here."
)
_ESCAPE = re.compile(r"\\(.)")


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=2000, required=False, help_text="For the audit trail.")


class _TaggedForm(ReasonForm):
    """A form with tags as lines; in `cleaned_data` they are a mapping.

    It remembers what it began with (`seen`): when that has changed since, nothing is saved, what was typed
    stays, and the form says beside each field what is there now. Sent once more, it is saved.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    tags = forms.CharField(required=False, widget=_LINES, help_text="One per line: stage = dev")

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, Any]) -> None:
        text = json.dumps(initial, sort_keys=True)
        now = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        self.stale = data is not None and data.get("seen", now) != now
        if self.stale and data is not None:
            data = data.copy()
            data["seen"] = now
        super().__init__(data, initial=initial | {"seen": now})

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        said.pop("seen", None)
        if self.stale:
            self.add_error(None, _STALE)
            for name in _EDITED & self.fields.keys() & self.data.keys():
                if self.data[name].split() != (there := self.initial[name]).split():
                    self.add_error(name, f"There now: {there or '(nothing)'}")
        return said

    def clean_tags(self) -> dict[str, str]:
        try:
            return tags_of(self.cleaned_data["tags"])
        except Invalid as error:
            raise forms.ValidationError(f"{error.message} {error.hint}") from error


class ChangeModelForm(_TaggedForm):
    owner_team = forms.CharField(
        max_length=128,
        required=False,
        label="Owner team",
        help_text="Only administrators of the model give it to another team: that decides who may do what.",
    )
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 4}))
    field_order = ("description", "tags", "owner_team", "reason")

    @staticmethod
    def of(model: Model) -> dict[str, Any]:
        """What the form begins with."""
        return {
            "owner_team": model.owner_team,
            "description": model.description,
            "tags": lines_of(model.tags),
        }


class NotesForm(_TaggedForm):
    notes = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 6}))
    field_order = ("notes", "tags", "reason")

    @staticmethod
    def of(version: Version) -> dict[str, Any]:
        """What the form begins with."""
        return {"notes": version.notes, "tags": lines_of(version.tags)}


class AliasForm(ReasonForm):
    alias = forms.CharField(max_length=128, help_text="A new name, or one that moves here.")
    field_order = ("alias", "reason")

    def __init__(self, *args: Any, taken: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        here = ", ".join(taken)
        if here:
            self.fields["alias"].help_text = f"A new name, or one that moves here: {here}."


def tags_of(text: str) -> dict[str, str]:
    """`key = value` lines as tags; a backslash keeps `=` and itself as they are, `\\n` is a line break."""
    tags: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _TAG.fullmatch(line)
        if found is None:
            raise Invalid(f"{line[:80]!r} is not a tag.", field="tags", hint="Write key = value.")
        key, value = (_unescaped(part.strip()) for part in found.groups())
        if key in tags:
            raise Invalid(f"{key[:80]!r} is there twice.", field="tags", hint="Keep one.")
        tags[key] = value
    return tags


def lines_of(tags: Mapping[str, str]) -> str:
    """Tags as the lines that `tags_of` reads."""
    lines = [f"{_escaped(key).replace('=', chr(92) + '=')} = {_escaped(tags[key])}" for key in sorted(tags)]
    return "\n".join(line.rstrip() for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
