"""Which alerts nobody wants to hear of for a while."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.errors import Invalid

LABELS = ("rule", "severity", "endpoint", "model", "version", "column")
MAX_MATCHERS = 10
# What a pattern may consist of: names, and "*" for anything. No regular expressions, which can run for ever.
PATTERN = re.compile(r"[A-Za-z0-9_.*:/ -]{1,128}")


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label` of LABELS is `value`, in which "*" stands for anything."""

    label: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        parts = [re.escape(part) for part in self.value.split("*")]
        return re.fullmatch(".*".join(parts), labels.get(self.label, ""), re.DOTALL) is not None

    def to_dict(self) -> dict[str, str]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.label}={self.value}"


def parse_matchers(document: object, path: str = "matchers") -> tuple[Matcher, ...]:
    """Matchers from `{"endpoint": "churn-*"}`; Invalid names the bad one. At least one is needed: a silence
    of everything says `{"rule": "*"}`."""
    if not isinstance(document, Mapping) or not 0 < len(document) <= MAX_MATCHERS:
        hint = 'For example {"endpoint": "churn-*", "rule": "latency_p95"}.'
        raise Invalid(f"Expected an object of 1 to {MAX_MATCHERS} labels.", field=path, hint=hint)
    return tuple(_matcher(label, value, path) for label, value in document.items())


def _matcher(label: Any, value: Any, path: str) -> Matcher:
    if label not in LABELS:
        raise Invalid(f"{str(label)[:64]!r} is no label.", field=path, hint=f"Known: {', '.join(LABELS)}.")
    if not isinstance(value, str) or not PATTERN.fullmatch(value):
        hint = "Write a name, in which * stands for anything."
        raise Invalid(f"{value!r:.80} cannot be matched.", field=f"{path}.{label}", hint=hint)
    return Matcher(label, value)


def silenced(labels: Mapping[str, str], silences: Iterable[Iterable[Matcher]]) -> bool:
    """Whether all matchers of one of the silences match."""
    return any(all(matcher.matches(labels) for matcher in matchers) for matchers in silences)
