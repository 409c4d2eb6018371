"""Samples in memory: for tests, for demonstrations, and as the plainest reading of the port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np

from monitoring.adapters.plain import PlainSource
from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram, total_of
from monitoring.domain.labels import group_of, matches
from monitoring.domain.series import HistogramSeries, Series, increase, spread_increase
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, Where

Labels = dict[str, str]
# What a counter with these times and values gained from one Unix time to another; None = not known.
Gain = Callable[[FloatArray, FloatArray, float, float], float | None]


class MemorySource(PlainSource):
    """A MetricsSource over samples given to `add`; `outage` set to a message makes every query fail."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, frozenset[tuple[str, str]]], dict[float, float]] = defaultdict(dict)
        self.outage: str | None = None

    @classmethod
    def from_settings(cls) -> Self:
        return cls()

    def add(self, metric: str, labels: Labels, at: float, value: float) -> None:
        """One sample at Unix time `at`; for histograms the metric is `…_bucket` with label `le`."""
        self._samples[metric, frozenset(labels.items())][at] = value

    def add_histogram(self, metric: str, labels: Labels, at: float, histogram: Histogram) -> None:
        """The cumulative buckets of `histogram` as one sample each."""
        edges = [*(repr(float(edge)) for edge in histogram.edges), "+Inf"]
        for edge, count in zip(edges, np.cumsum(histogram.counts), strict=True):
            self.add(f"{metric}_bucket", {**labels, "le": edge}, at, float(count))

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        found: dict[Group, float] = defaultdict(float)
        for labels, times, values in self._select(metric, where):
            gained = increase(times, values, window.start.timestamp(), window.end.timestamp())
            if gained is not None:
                found[group_of(labels, by)] += gained
        return dict(found)

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        start, end = window.start.timestamp(), window.end.timestamp()
        found = self._histograms(metric, by, where, start, end, increase)
        return {group: total_of(parts) for group, parts in found.items()}

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        grid = window.grid(step)
        found: dict[Group, FloatArray] = {}
        for labels, times, values in self._select(metric, where):
            gains = [spread_increase(times, values, float(end) - step, float(end)) for end in grid]
            rate = np.array([np.nan if gain is None else gain / step for gain in gains])
            group = group_of(labels, by)
            found[group] = _add_known(found[group], rate) if group in found else rate
        return {group: Series(grid, rate) for group, rate in found.items() if not np.isnan(rate).all()}

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        grid = window.grid(step)
        per_step = [
            self._histograms(metric, by, where, float(end) - step, float(end), spread_increase)
            for end in grid
        ]
        found = {}
        for group in {group for parts in per_step for group in parts}:
            edges = total_of([item for parts in per_step for item in parts.get(group, [])]).edges
            empty = Histogram(edges, np.zeros(len(edges) + 1))
            counts = [total_of([empty, *parts.get(group, [])]).counts for parts in per_step]
            found[group] = HistogramSeries(grid, edges, np.array(counts))
        return found

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        found: dict[Group, float] = defaultdict(float)
        start, end = window.start.timestamp(), window.end.timestamp()
        for labels, times, values in self._select(metric, where):
            inside = (times > start) & (times <= end) & ~np.isnan(values)
            if inside.any():
                found[group_of(labels, by)] += float(values[inside][-1])
        return dict(found)

    def _select(self, metric: str, where: Where) -> Iterator[tuple[Labels, FloatArray, FloatArray]]:
        if self.outage is not None:
            raise MetricsUnavailable(self.outage)
        for (name, items), samples in self._samples.items():
            labels = dict(items)
            if name == metric and matches(labels, where):
                times = np.array(sorted(samples))
                yield labels, times, np.array([samples[at] for at in times])

    def _histograms(
        self, metric: str, by: Sequence[str], where: Where, start: float, end: float, gain: Gain
    ) -> dict[Group, list[Histogram]]:
        buckets: dict[frozenset[tuple[str, str]], dict[float, float]] = defaultdict(dict)
        for labels, times, values in self._select(f"{metric}_bucket", where):
            gained = gain(times, values, start, end)
            if gained is not None:
                edge = float(labels.pop("le"))
                buckets[frozenset(labels.items())][edge] = gained
        found: dict[Group, list[Histogram]] = defaultdict(list)
        for items, counts in buckets.items():
            histogram = Histogram.from_cumulative(counts)
            if histogram is not None:
                found[group_of(dict(items), by)].append(histogram)
        return found


def _add_known(left: FloatArray, right: FloatArray) -> FloatArray:
    """The sum where a missing value counts as nothing, missing only where both are."""
    both_missing = np.isnan(left) & np.isnan(right)
    total: FloatArray = np.where(both_missing, np.nan, np.nan_to_num(left) + np.nan_to_num(right))
    return total
