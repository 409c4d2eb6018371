"""How a version's answers fall into the bins of its baseline, and how far that is from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monitoring.domain.drift.assessment import measure, ranked, state_of
from monitoring.domain.histogram import Histogram
from registry.domain.profile import bin_counts
from registry.models import Version

if TYPE_CHECKING:
    from monitoring.adapters.tables.reading import Columns

OTHER = "other"
Counts = list[list[int]]


def counts_of(version: Version, answers: Columns) -> Counts:
    """Per output of the baseline, how many answers fall into each bin or class; the last is `other`."""
    return [_counted(item, answers) for item in _outputs(version)]


def added(before: Counts, more: Counts) -> Counts:
    """Both together."""
    return (
        [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(before, more, strict=True)]
        if before
        else more
    )


def compared(version: Version, counts: Counts) -> tuple[list[dict[str, Any]], str]:
    """Each output against the baseline, the most drifted first, and the state of the worst.

    Without any answers nothing is compared: [], and the state `no_data`.
    """
    items = _outputs(version)
    if not counts:
        return [], state_of([])
    found = ranked(
        [
            measure(item, "outputs", _side(item, total), len(items))
            for item, total in zip(items, counts, strict=True)
        ]
    )
    return [column.to_dict() for column in found], state_of(found)


def _outputs(version: Version) -> Sequence[Mapping[str, Any]]:
    return list((version.profile or {}).get("outputs", ()))


def _counted(item: Mapping[str, Any], answers: Columns) -> list[int]:
    """How the chunk's answers fall into the bins of a baseline's item."""
    values = answers[item["tensor"]]
    column = values if values.ndim == 1 else values.reshape(len(values), -1)[:, item["column"] or 0]
    if item["kind"] == "numeric":
        column = column.astype(np.float64)
        return bin_counts(column[~np.isnan(column)], item["edges"])
    known = [str(category) for category in item["categories"]]
    seen = Counter(str(value) for value in column.tolist())
    others = sum(count for value, count in seen.items() if value not in known)
    return [*(seen[category] for category in known), others]


def _side(item: Mapping[str, Any], counts: list[int]) -> Histogram | dict[str, float]:
    if item["kind"] == "numeric":
        return Histogram.of(item["edges"], counts)
    names = [*map(str, item["categories"]), OTHER]
    return {name: float(count) for name, count in zip(names, counts, strict=True) if count}
