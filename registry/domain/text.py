"""Words from outside, checked before anything is stored."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.domain.plain import check_plain
from registry.errors import Invalid

# Everything below space except tab and newline, and DEL: no use in a record, and PostgreSQL refuses NUL.
# Halves of surrogate pairs are no characters, and no database takes them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
# As JSON writes it, and not the six characters that look like it behind a backslash.
_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
_BREAKS = re.compile(r"[\t\n]")


def clean_text(value: Any, *, field: str, maximum: int, required: bool = False) -> str:
    """Text of at most `maximum` characters, trimmed, without control characters (line breaks may stay)."""
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise Invalid(f"It must be text, not {_kind(value)}.", field=field)
    text = value.replace("\r\n", "\n").strip()
    found = _CONTROL.search(text)
    if found:
        raise Invalid(
            f"It holds the control character {ascii(found.group())}.", field=field, hint="Remove it."
        )
    if len(text) > maximum:
        raise Invalid(f"It has {len(text)} characters; at most {maximum} are kept.", field=field)
    if required and not text:
        raise Invalid("It must not be empty.", field=field)
    return text


def clean_line(value: Any, *, field: str, maximum: int, required: bool = False) -> str:
    """Like `clean_text`, on one line."""
    text = clean_text(value, field=field, maximum=maximum, required=required)
    if _BREAKS.search(text):
        raise Invalid("It must be one line without tabs.", field=field)
    return text


def clean_lines(values: Any, *, field: str, maximum: int, count: int) -> list[str]:
    """A list of at most `count` one-line texts."""
    if values is None:
        return []
    if isinstance(values, str) or not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise Invalid(f"It must be a list of texts, not {_kind(values)}.", field=field)
    items = list(values)
    if len(items) > count:
        raise Invalid(f"It has {len(items)} items; at most {count} are kept.", field=field)
    return [
        clean_line(item, field=f"{field}[{i}]", maximum=maximum, required=True)
        for i, item in enumerate(items)
    ]


def clean_document(value: Any, *, field: str, maximum: int = 100_000) -> dict[str, Any]:
    """A JSON object of at most `maximum` bytes, with finite numbers and without NUL in its texts."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(f"It must be a JSON object, not {_kind(value)}.", field=field)
    check_plain(value, field=field)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Invalid(f"It is not valid JSON: {error}.", field=field) from error
    if _NUL.search(text):
        raise Invalid("A text in it holds the NUL character.", field=field, hint="Remove it.")
    if len(text) > maximum:
        raise Invalid(f"It takes {len(text)} bytes as JSON; at most {maximum} are kept.", field=field)
    document: dict[str, Any] = json.loads(text)
    return document


def clean_tags(value: Any, *, field: str = "tags") -> dict[str, str]:
    """Tags: an object of at most 100 short keys with text values (numbers and booleans become text)."""
    document = clean_document(value, field=field)
    if len(document) > 100:
        raise Invalid(f"It has {len(document)} tags; at most 100 are kept.", field=field)
    tags = {}
    for key, item in document.items():
        key = clean_line(key, field=field, maximum=250, required=True)
        if isinstance(item, bool | int | float):
            item = json.dumps(item)
        tags[key] = clean_text(item, field=f"{field}.{key}", maximum=5000)
    return tags


def finite(value: Any, *, field: str) -> float:
    """A finite number; booleans, texts, NaN and infinities are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"It must be a number, not {_kind(value)}.", field=field)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid("It must be a finite number.", field=field, hint="NaN and infinity cannot be compared.")
    return number


def listed(names: Sequence[str], most: int) -> str:
    """The names with commas, and a sign that there are more than `most`."""
    return f"{', '.join(names[:most])}{', …' if len(names) > most else ''}"


def whole_number(value: str | None, *, field: str) -> int | None:
    """A whole number from a query string, at most 18 digits; None when absent or empty."""
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 18):
        raise Invalid(f"{ascii(value[:40])} is not a whole number.", field=field)
    return int(value)


def _kind(value: Any) -> str:
    names = {type(None): "nothing", bool: "a boolean", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
