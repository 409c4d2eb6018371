"""Reading one gate's JSON: every field checked, every error with the path of the field."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from registry.errors import Invalid


class Fields:
    """The fields of one JSON object at `path`; `done()` refuses those that nobody read."""

    def __init__(self, document: Mapping[str, Any], path: str) -> None:
        self._document = document
        self._path = path
        self._read = {"kind"}

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        return self._document.get(name, default)

    def invalid(self, name: str, message: str, hint: str | None = None) -> Invalid:
        return Invalid(message, field=f"{self._path}.{name}", hint=hint)

    def text(self, name: str, default: str) -> str:
        value = self._take(name, default)
        if not isinstance(value, str) or not value.strip() or len(value) > 100:
            raise self.invalid(name, f"Expected a text of 1 to 100 characters, got {value!r}.")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self._take(name, None) is None else self.text(name, "")

    def line(self, name: str, maximum: int = 200) -> str:
        """A text that may be empty, without control characters."""
        value = self._take(name, "")
        if not isinstance(value, str) or len(value) > maximum or not value.isprintable():
            raise self.invalid(name, f"Expected a line of at most {maximum} characters, got {value!r:.80}.")
        return value

    def absent(self, name: str) -> bool:
        """Whether the field is left out or null."""
        return self._take(name, None) is None

    def long_text(self, name: str, maximum: int) -> str:
        """A text that may have several lines."""
        value = self._take(name, "")
        if not isinstance(value, str) or not value.strip() or len(value) > maximum or "\0" in value:
            raise self.invalid(name, f"Expected a text of 1 to {maximum:,} characters, got {value!r:.80}.")
        return value

    def words(self, name: str, maximum: int = 200) -> tuple[str, ...]:
        """A list of names, which may be empty or left out."""
        value = self._take(name, [])
        items: list[Any] = list(value) if isinstance(value, list | tuple) else [None]
        if len(items) > maximum or not all(isinstance(item, str) and 0 < len(item) <= 200 for item in items):
            raise self.invalid(name, f"Expected a list of at most {maximum} names, got {value!r:.80}.")
        return tuple(dict.fromkeys(items))

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        value = self._take(name, default)
        if not isinstance(value, str) or value not in choices:
            raise self.invalid(name, f"{value!r:.80} is not one of: {', '.join(sorted(choices))}.")
        return str(value)

    def number(self, name: str, default: float, low: float, high: float, *, above_low: bool = False) -> float:
        """A finite number in [low, high], or in (low, high] with `above_low`."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.invalid(name, f"Expected a number, got {value!r}.")
        if not low <= value <= high or (above_low and value == low):
            bound = "above" if above_low else "at least"
            raise self.invalid(
                name, f"Expected a number {bound} {low:g} and at most {high:g}, got {value!r}."
            )
        return float(value)

    def optional_number(
        self, name: str, default: float | None, low: float, high: float, *, above_low: bool = False
    ) -> float | None:
        """As `number`, with null allowed: the limit is not applied."""
        if self._take(name, default) is None:
            return None
        return self.number(name, default or 0.0, low, high, above_low=above_low)

    def flag(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self.invalid(name, f"Expected true or false, got {value!r}.")
        return value

    def count(self, name: str, default: int, low: int = 1, high: int = 10**9) -> int:
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.invalid(name, f"Expected a whole number from {low:,} to {high:,}, got {value!r}.")
        return value

    def texts(
        self, name: str, default: tuple[str, ...], choices: Collection[str], *, least: int = 1
    ) -> tuple[str, ...]:
        """A list of at least so many, without repetitions, each out of `choices`."""
        value = self._take(name, list(default))
        if not isinstance(value, list | tuple) or len(value) < least:
            raise self.invalid(name, f"Expected a list of at least {least} text, got {value!r:.80}.")
        unknown = [item for item in value if not isinstance(item, str) or item not in choices]
        if unknown:
            raise self.invalid(name, f"{unknown[0]!r} is not one of: {', '.join(sorted(choices))}.")
        return tuple(dict.fromkeys(value))

    def done(self) -> None:
        for name in self._document:
            if name not in self._read:
                known = ", ".join(sorted(self._read))
                raise self.invalid(name, "This gate has no such field.", hint=f"It has: {known}.")
