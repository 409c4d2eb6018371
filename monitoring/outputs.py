"""Binned counts of a model's output, live and at registration, over bins that compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.domain.histogram import Histogram, common_edges
from monitoring.domain.judge.distribution import CLASS_METRIC, NUMERIC_METRIC
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource

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


def find(
    source: MetricsSource, endpoint: str, version: str, window: Window, name: str | None
) -> Output | None:
    """The output by what a version without a profile exposes; None without any. Raises NotComparable
    when several outputs are there and none is named."""
    where = {"endpoint": endpoint, "model_version": version}
    numeric = source.histogram(NUMERIC_METRIC, by=("output",), where=where, window=window)
    classes = source.increase(CLASS_METRIC, by=("output",), where=where, window=window)
    found = [Output(group[0], False) for group in numeric] + [Output(group[0], True) for group in classes]
    if name is not None:
        found = [output for output in found if output.name == name]
    if len(found) > 1:
        names = ", ".join(sorted(output.name for output in found))
        raise NotComparable(f"the model has several outputs ({names}); name one in the gate's `output`")
    return found[0] if found else None


def live(
    source: MetricsSource, endpoint: str, versions: Sequence[str], window: Window, output: Output
) -> dict[str, Side]:
    """What each version answered over the window: a histogram, or counts per class."""
    where = {"endpoint": endpoint, "model_version": list(versions), "output": output.name}
    if not output.categorical:
        found = source.histogram(NUMERIC_METRIC, by=("model_version",), where=where, window=window)
        return {group[0]: histogram for group, histogram in found.items()}
    counts = source.increase(CLASS_METRIC, by=("model_version", "class"), where=where, window=window)
    sides: dict[str, dict[str, float]] = {}
    for (version, name), count in counts.items():
        sides.setdefault(version, {})[name] = count
    return dict(sides)


def baseline(profile: Profile | None, output: Output) -> Side | None:
    """The counts that were recorded at registration."""
    for item in (profile or {}).get("outputs") or []:
        if item["name"] == output.name:
            if item["kind"] == "categorical":
                return dict(zip(map(str, item["categories"]), map(float, item["counts"]), strict=True))
            return Histogram.of(item["edges"], item["counts"])
    return None


def aligned(
    sides: Sequence[Side],
) -> tuple[list[str] | list[float], list[np.ndarray[Any, np.dtype[np.float64]]]]:
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
