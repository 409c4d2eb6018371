"""Selecting and grouping series by their labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def matches(labels: Mapping[str, str], where: Mapping[str, str | Collection[str]]) -> bool:
    """Whether every condition holds; a missing label counts as ""."""
    return all(accepts(wanted, labels.get(name, "")) for name, wanted in where.items())


def accepts(wanted: str | Collection[str], value: str) -> bool:
    return value == wanted if isinstance(wanted, str) else value in wanted


def group_of(labels: Mapping[str, str], by: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in by)
