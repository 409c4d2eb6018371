"""Values as text that a terminal may show: tables, pairs, sizes, times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def clean(text: str) -> str:
    """The text without control characters: what others wrote must not steer the reader's terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def line(value: Any) -> str:
    """A value as one line; None and empty as a dash."""
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(str(key))}={line(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(line(item) for item in value)
    return " ".join(clean(str(value)).split())


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Columns as wide as their content, under a head line; the last column is not padded."""
    cells = [[line(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *cells]]


def short(value: Any, width: int = 44) -> str:
    """A value as one line of at most `width` characters."""
    text = line(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def pairs(values: Mapping[str, Any]) -> list[str]:
    """`name  value` lines, the names in one column."""
    width = max(map(len, values), default=0)
    return [f"{name.ljust(width)}  {line(value)}" for name, value in values.items()]


def size(count: float) -> str:
    """Bytes as people read them: `1.5 MiB`."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} B" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def moment(value: str | None) -> datetime | None:
    """A time as the API writes it; None when there is none."""
    return datetime.fromisoformat(value) if value else None


def stamp(value: str | None) -> str:
    """A time in UTC to the second, as logs have it."""
    found = moment(value)
    return "-" if found is None else found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """A length of time: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    said = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(said[:2]) or "0 s"
