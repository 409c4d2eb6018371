"""What two versions of a model do not have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing as text on either side, "" where a side does not have it."""

    name: str
    left: str
    right: str


def differing(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """The keys of two documents whose values differ, by name; values other than texts as JSON."""
    return [
        Difference(name, _text(left.get(name)), _text(right.get(name)))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]


def dependencies(left: Iterable[str], right: Iterable[str]) -> list[Difference]:
    """The requirements that differ, one line per package: `numpy==1.26` beside `numpy==2.0`."""
    return differing(_by_package(left), _by_package(right))


def tensors(left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> list[Difference]:
    """Tensors as (name, type and shape) that one side has otherwise or not at all."""
    return differing(dict(left), dict(right))


def _by_package(lines: Iterable[str]) -> dict[str, str]:
    """Lines by the name that they begin with, lower-cased as PEP 503 does; a line without one is its own."""
    found: dict[str, str] = {}
    for line in lines:
        head = line.strip()
        end = next(
            (at for at, letter in enumerate(head) if not (letter.isalnum() or letter in "-_.")), len(head)
        )
        name = head[:end].lower().replace("_", "-").replace(".", "-") or head
        found[name] = f"{found[name]}, {head}" if name in found else head
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
