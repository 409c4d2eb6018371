"""Readers for values that a user wrote: each says the path, what was found and what is expected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rollouts.errors import InvalidPlan

# What people name: environments, endpoints, templates. Safe in URLs, file names and labels.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


def number(
    source: Mapping[str, Any], key: str, path: str, *, default: float, least: float, most: float
) -> float:
    """A finite number in [least, most]; `default` when the key is absent or null."""
    value = source.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidPlan(f"{value!r} is not a number.", field=path + key)
    if not least <= value <= most:
        raise InvalidPlan(f"{value:,.10g} is outside {least:,.10g} to {most:,.10g}.", field=path + key)
    return float(value)


def whole(source: Mapping[str, Any], key: str, path: str, *, default: int, least: int, most: int) -> int:
    """A whole number in [least, most]."""
    value = number(source, key, path, default=default, least=least, most=most)
    if value != int(value):
        raise InvalidPlan(f"{value:g} is not a whole number.", field=path + key)
    return int(value)


def flag(source: Mapping[str, Any], key: str, path: str, *, default: bool) -> bool:
    """True or false."""
    value = source.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidPlan(f"{value!r} is neither true nor false.", field=path + key)
    return value


def text(source: Mapping[str, Any], key: str, path: str, *, default: str, pattern: str) -> str:
    """A string that matches the pattern as a whole."""
    value = source.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise InvalidPlan(
            f"{value!r} cannot be used here.", field=path + key, hint=f"It must match {pattern}."
        )
    return value


def only_known(source: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    """Refuses keys that nothing would read, since a misspelt key would silently do nothing."""
    for key in source:
        if key not in known:
            raise InvalidPlan(
                "no such parameter.", field=f"{path}{key}", hint=f"Known here: {', '.join(sorted(known))}."
            )


def switch(source: Mapping[str, Any], key: str, path: str, *, default: bool = False) -> bool:
    """True or false; InvalidPlan for anything else."""
    value = source.get(key, default)
    if not isinstance(value, bool):
        raise InvalidPlan(f"{value!r} is neither true nor false.", field=path + key)
    return value
