"""Sampled predictions and labels as values, checked one by one: a bad record never spoils its batch."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from registry.errors import Invalid

MAX_OUTPUTS = 64
MAX_VALUES = 1_000
MAX_TEXT = 200
MAX_SEGMENTS = 10
# A clock that runs ahead by more than this is wrong.
AHEAD_SECONDS = 300.0
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def sampled(request_id: str, rate: float) -> bool:
    """Whether the sampling rule chooses this request at `rate` in [0, 1]: on every version alike."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big") < rate * 2**64


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One sampled prediction; `outputs` maps names to flat lists of finite numbers, texts or null."""

    endpoint: str
    version: str
    request_id: str
    at: float
    outputs: Mapping[str, list[float | str | None]]
    mirrored: bool = False
    segment: Mapping[str, str] = field(default_factory=dict)
    trace_id: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.endpoint, self.request_id, self.version

    @classmethod
    def parse(cls, document: object, now: float, oldest: float) -> Self:
        """From JSON; raises Invalid with the field. `oldest` is the earliest `at` that is still kept."""
        record = _record(
            document,
            ("endpoint", "version", "request_id", "at", "outputs", "mirrored", "segment", "trace_id"),
        )
        mirrored = record.get("mirrored", False)
        if not isinstance(mirrored, bool):
            raise Invalid("Expected true or false.", field="mirrored")
        return cls(
            endpoint=_name(record, "endpoint", 100),
            version=_name(record, "version", 64),
            request_id=_name(record, "request_id", 128),
            at=_moment(record, now, oldest),
            outputs=_outputs(record.get("outputs")),
            mirrored=mirrored,
            segment=_segment(record.get("segment")),
            trace_id=_trace_id(record.get("trace_id", "")),
        )


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One label; `value` a finite number (booleans are 1 and 0) or a text; `version` "" for every version."""

    endpoint: str
    request_id: str
    value: float | str
    at: float
    name: str = "label"
    version: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.endpoint, self.request_id, self.name, self.version

    @property
    def number(self) -> float | None:
        return None if isinstance(self.value, str) else self.value

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else ""

    @classmethod
    def parse(cls, document: object, now: float, oldest: float) -> Self:
        """From JSON; raises Invalid with the field. Without `at` the label was known when it came."""
        record = _record(document, ("endpoint", "request_id", "value", "at", "name", "version"))
        value = record.get("value")
        if isinstance(value, str):
            if not value or len(value) > MAX_TEXT or "\x00" in value:
                raise Invalid(f"Expected a text of 1 to {MAX_TEXT} characters.", field="value")
        else:
            value = _finite(float(value) if isinstance(value, bool) else value, "value")
        return cls(
            endpoint=_name(record, "endpoint", 100),
            request_id=_name(record, "request_id", 128),
            value=value,
            at=_moment(record, now, oldest) if "at" in record else now,
            name=_name(record, "name", 64) if "name" in record else "label",
            version=_name(record, "version", 64) if "version" in record else "",
        )


def _trace_id(value: object) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not _TRACE_ID.fullmatch(value):
        raise Invalid("Expected a W3C trace id: 32 lower-case hex digits, not all zero.", field="trace_id")
    return value


def _record(document: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise Invalid("Expected an object.")
    for name in document:
        if name not in known:
            raise Invalid(f"Unknown; known are {', '.join(known)}.", field=str(name)[:80])
    return document


def _name(record: Mapping[str, Any], name: str, maximum: int) -> str:
    value = record.get(name)
    if not isinstance(value, str) or len(value) > maximum or not _PRINTABLE.fullmatch(value):
        raise Invalid(f"Expected 1 to {maximum} printable ASCII characters without spaces.", field=name)
    return value


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid("Expected a number.", field=name)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid("Expected a finite number.", field=name)
    return number


def _moment(record: Mapping[str, Any], now: float, oldest: float) -> float:
    at = _finite(record.get("at"), "at")
    if at > now + AHEAD_SECONDS:
        raise Invalid("It lies in the future; is the sender's clock right?", field="at")
    if at < oldest:
        raise Invalid("It is older than what is kept.", field="at")
    return at


def _outputs(value: object) -> Mapping[str, list[float | str | None]]:
    if not isinstance(value, Mapping) or not value or len(value) > MAX_OUTPUTS:
        raise Invalid(f"Expected an object of 1 to {MAX_OUTPUTS} outputs.", field="outputs")
    for name, items in value.items():
        if not isinstance(name, str) or not name or len(name) > MAX_TEXT or "\x00" in name:
            raise Invalid(f"An output's name has 1 to {MAX_TEXT} characters.", field="outputs")
        if not isinstance(items, list) or len(items) > MAX_VALUES:
            raise Invalid(f"Expected a list of at most {MAX_VALUES:,} values.", field=f"outputs.{name}")
    return {name: [_value(item, name) for item in items] for name, items in value.items()}


def _value(item: object, name: str) -> float | str | None:
    if item is None or (isinstance(item, str) and len(item) <= MAX_TEXT and "\x00" not in item):
        return item
    if isinstance(item, bool):
        return float(item)
    return _finite(item, f"outputs.{name}")


def _segment(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_SEGMENTS:
        raise Invalid(f"Expected an object of at most {MAX_SEGMENTS} names and texts.", field="segment")
    for name, text in value.items():
        fits = isinstance(name, str) and isinstance(text, str) and 0 < len(name) <= 64 >= len(text)
        if not fits or "\x00" in name + text:
            raise Invalid("Expected names and texts of at most 64 characters.", field="segment")
    return dict(value)
