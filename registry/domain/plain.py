"""JSON from outside that could not be told again: found before anything of it is stored.

What one store takes, another refuses or cannot write out: half a surrogate pair is no UTF-8, a whole number
beyond 64 bits or a document hundreds of levels deep breaks readers. A single such value in one record would
break every list that shows it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from registry.errors import Invalid

MAXIMUM_DEPTH = 100
# No float has more before its point.
_DIGITS = 309
_HALF = re.compile("[\ud800-\udfff]")
_UNTOLD = re.compile("[\ud800-\udfff\x00]")


def parsed(text: str | bytes) -> Any:
    """What the JSON says, whatever a store makes of it. Raises ValueError, RecursionError."""
    return json.loads(text, parse_constant=_no_constant, parse_int=_number)


def read_json(text: str | bytes, *, field: str | None = None) -> Any:
    """The plain value that the text says. `Invalid` for anything else, NaN and infinity included."""
    try:
        value = parsed(text)
    except RecursionError as error:
        raise _too_deep(field) from error
    except ValueError as error:
        raise Invalid(f"It is not valid JSON: {error}.", field=field) from error
    check_plain(value, field=field)
    return value


def check_plain(value: Any, *, field: str | None = None) -> None:
    """`Invalid` with the path of what is wrong, below `field`, unless every store and reader takes it."""
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        if any(map(_fault, level)):
            path, fault = next(_faults(value, field or ""))
            raise Invalid(fault, field=path[:200] or None)
        level = [part for item in level for part in _parts(item)]
        if not level:
            return
    raise _too_deep(field)


def tellable(value: Any) -> Any:
    """A copy that passes `check_plain`, also of what a hostile file says of itself: halves of surrogate pairs
    and NUL become U+FFFD, numbers that are not finite None, whole numbers beyond 64 bits floats."""
    if isinstance(value, dict):
        return {tellable(key): tellable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tellable(item) for item in value]
    if isinstance(value, str):
        return _UNTOLD.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return float(min(value, 10**300)) if isinstance(value, int) and _fault(value) else value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _fault(value: Any) -> str:
    """What is wrong with a value itself; nothing of what it holds."""
    if isinstance(value, str):
        wrong = not value.isascii() and _HALF.search(value)
        return "A text in it holds half a surrogate pair, which is no character." if wrong else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "A number in it is not finite."
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "A whole number in it has more than 64 bits; write it as text."
    return ""


def _faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The faults with their paths; for values that are known to have one not too deep."""
    if fault := _fault(value):
        yield path, fault
    if isinstance(value, dict):
        for key, item in value.items():
            if fault := _fault(key):
                yield path, fault
            yield from _faults(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")


def _too_deep(field: str | None) -> Invalid:
    return Invalid(f"It is nested more than {MAXIMUM_DEPTH} levels deep.", field=field)


def _number(digits: str) -> int | float:
    """A whole number; or the float that a writer without exponents meant, such as 100000000000000000000."""
    number = int(digits)
    if -(2**63) <= number < 2**64 or len(digits) > _DIGITS:
        return number
    about = float(number)
    return about if Decimal(repr(about)) == number else number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
