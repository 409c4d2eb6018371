"""A model's outputs as its profile describes them, and bins over which two sides of one compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram, common_edges
from monitoring.domain.judge.distribution import CLASS_METRIC, NUMERIC_METRIC

Profile = Mapping[str, Any]
Side = Histogram | Mapping[str, float]


class NotComparable(ValueError):
    """The output cannot be found, or two sides of it share no bins; the message is for people."""


@dataclass(frozen=True, slots=True)
class Output:
    """A model output as its metrics name it."""

    name: str
    categorical: bool

    @property
    def metric(self) -> str:
        return CLASS_METRIC if self.categorical else NUMERIC_METRIC


def describe(profile: Profile | None, name: str | None) -> Output | None:
    """The profile's output `name`, or its first; None when the profile does not tell."""
    items = (profile or {}).get("outputs") or []
    chosen = next((item for item in items if name is None or item["name"] == name), None)
    return None if chosen is None else Output(chosen["name"], chosen["kind"] == "categorical")


def baseline(profile: Profile | None, output: Output) -> Side | None:
    """The counts that were recorded at registration."""
    for item in (profile or {}).get("outputs") or []:
        if item["name"] == output.name:
            return counts_of(item)
    return None


def counts_of(item: Mapping[str, Any]) -> Side:
    """The counts of one item of a profile."""
    if item["kind"] == "categorical":
        return dict(zip(map(str, item["categories"]), map(float, item["counts"]), strict=True))
    return Histogram.of(item["edges"], item["counts"])


def total(side: Side | None) -> float:
    """How many values were counted."""
    if side is None:
        return 0.0
    return sum(side.values()) if isinstance(side, Mapping) else side.total


def aligned(
    sides: Sequence[Side],
) -> tuple[list[str] | list[float], list[FloatArray]]:
    """Bins that all sides share (class names, or edges) and each side's counts over them.

    Raises NotComparable for histograms without a common edge.
    """
    histograms = [side for side in sides if isinstance(side, Histogram)]
    if len(histograms) == len(sides):
        edges = common_edges(histograms)
        if not len(edges):
            raise NotComparable("the two sides were counted over bins that share no edge")
        return edges.tolist(), [item.merged(edges).counts for item in histograms]
    classes = [side for side in sides if not isinstance(side, Histogram)]
    if len(classes) != len(sides):
        raise NotComparable("one side is numeric and the other is not")
    names = sorted({name for side in classes for name in side})
    return names, [np.array([side.get(name, 0.0) for name in names]) for side in classes]
