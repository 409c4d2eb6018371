"""What versions saw and answered, column by column, and the profiles that it is compared with.

The drift history, the alerts on divergences and the gate on inputs all read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from monitoring.domain.outputs import Side
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource, Where
from registry.models import Version

# Which label names the column on each side, and how the families are called.
SIDES = {"inputs": ("feature", "model_input"), "outputs": ("output", "model_output")}
SERVED = ("endpoint", "model", "model_version")


class Column(NamedTuple):
    """A feature or an output of a version at an endpoint."""

    endpoint: str
    model: str
    version: str
    name: str


def live_columns(source: MetricsSource, side: str, window: Window, where: Where) -> dict[Column, Side]:
    """What was counted on `side` over the window; two queries. Raises MetricsUnavailable."""
    label, family = SIDES[side]
    by = (*SERVED, label)
    numeric = source.histogram(f"{family}_value", by=by, where=where, window=window)
    counted = source.increase(f"{family}_class_total", by=(*by, "class"), where=where, window=window)
    found: dict[Column, Any] = {Column(*group): value for group, value in numeric.items()}
    for (*group, name), count in counted.items():
        found.setdefault(Column(*group), {})[name] = count
    return found


def columns_of(
    source: MetricsSource, side: str, window: Window, endpoint: str, versions: Iterable[str]
) -> dict[tuple[str, str], Side]:
    """(version, column) → what was counted at one endpoint; two queries."""
    where = {"endpoint": endpoint, "model_version": list(versions)}
    found = live_columns(source, side, window, where)
    return {(column.version, column.name): counts for column, counts in found.items()}


def profiles(versions: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The profiles of those (model, version) pairs that have one; one query."""
    wanted = {(model, version) for model, version in versions if version.isdecimal()}
    if not wanted:
        return {}
    rows = Version.objects.filter(
        model__name__in={model for model, _ in wanted},
        number__in={int(version) for _, version in wanted},
        deleted_at=None,
    ).exclude(profile=None)
    found = {
        (model, str(number)): profile or {}
        for model, number, profile in rows.values_list("model__name", "number", "profile")
    }
    return {pair: found[pair] for pair in wanted & found.keys()}
