"""The embedded scraper's samples as a MetricsSource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, reduce
from typing import Self, TypeVar

import numpy as np
from django.conf import settings
from django.db import DatabaseError

from monitoring.adapters.plain import PlainSource
from monitoring.adapters.scrape import read
from monitoring.adapters.scrape.collect import SELF_JOB
from monitoring.adapters.scrape.exposition import Layout
from monitoring.adapters.scrape.retention import KEEP_SECONDS
from monitoring.domain.arrays import BoolArray, FloatArray
from monitoring.domain.histogram import Histogram, bin_starts
from monitoring.domain.labels import group_of, matches
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsGone, MetricsUnavailable
from monitoring.models import Scrape
from monitoring.ports import Group, Where

T = TypeVar("T")
Key = tuple[tuple[str, str], ...]
# Thinned history keeps a page per 15 s, so a gap longer than this means that the scraper stood still.
STALLED_SECONDS = 20.0
# Where pages are not farther apart than this, the last one before a window is where the window begins.
NEAR_SECONDS = 5.0


class ScrapeSource(PlainSource):
    """Increases are exact differences of stored counters: nothing is extrapolated to the window's edges.

    A window begins at the last page before it; counters of a process that was born inside it count from
    zero, so neither the first nor the last events are lost. In thinned history, and in the steps of a
    series, what two pages gained is spread evenly over the time between them.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._stalled = max(STALLED_SECONDS, 5 * interval)
        self._near = max(NEAR_SECONDS, 2 * interval)

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.SLIPWAY_SCRAPE_INTERVAL)

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        found: dict[Group, float] = defaultdict(float)
        for labels, gained, _ in self._counters(metric, where, _edges(window), self._near):
            found[group_of(labels, by)] += float(gained[0])
        return dict(found)

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        series = self._histogram_groups(metric, by, where, _edges(window), self._near)
        return {group: Histogram(edges, counts[0]) for group, (edges, counts) in series.items()}

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        grid = window.grid(step)
        sums: dict[Group, FloatArray] = {}
        known: dict[Group, BoolArray] = {}
        for labels, gained, measured in self._counters(metric, where, _moments(grid, step), 0):
            group = group_of(labels, by)
            sums[group] = sums.get(group, 0.0) + gained
            known[group] = known.get(group, np.zeros(len(grid), dtype=bool)) | measured
        return {group: Series(grid, np.where(known[group], sums[group] / step, np.nan)) for group in sums}

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        grid = window.grid(step)
        series = self._histogram_groups(metric, by, where, _moments(grid, step), 0)
        return {group: HistogramSeries(grid, edges, counts) for group, (edges, counts) in series.items()}

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        found: dict[Group, float] = defaultdict(float)
        for labels, value in self._guarded(_latest(metric, where, _edges(window)), float(_edges(window)[-1])):
            if not np.isnan(value):
                found[group_of(labels, by)] += value
        return dict(found)

    def _counters(
        self, metric: str, where: Where, moments: FloatArray, near: float
    ) -> list[tuple[dict[str, str], FloatArray, BoolArray]]:
        """Labels, gains per step of shape (steps,) and whether each step was measured, per series."""
        return self._guarded(_counters(metric, where, moments, near), float(moments[-1]))

    def _histogram_groups(
        self, metric: str, by: Sequence[str], where: Where, moments: FloatArray, near: float
    ) -> dict[Group, tuple[FloatArray, FloatArray]]:
        """Edges (B−1,) and counts (steps, B) of every group, on the edges common to its members."""
        groups: dict[Group, list[tuple[FloatArray, FloatArray]]] = defaultdict(list)
        found = self._guarded(_histograms(metric, where, moments, near), float(moments[-1]))
        for labels, edges, counts in found:
            groups[group_of(labels, by)].append((edges, counts))
        return {group: _together(parts) for group, parts in groups.items()}

    def _guarded(self, rows: Iterable[T], end: float) -> list[T]:
        """The rows; MetricsUnavailable when the database fails or the scraper stood still at `end`."""
        try:
            self._require_pages(end)
            return list(rows)
        except DatabaseError as error:
            raise MetricsUnavailable(f"The stored metrics could not be read: {error}.") from error

    def _require_pages(self, end: float) -> None:
        alive = Scrape.objects.filter(target__job=SELF_JOB, at__gt=end - self._stalled, at__lte=end)
        if alive.exists():
            return
        if Scrape.objects.filter(target__job=SELF_JOB, at__gt=end).exists():
            raise MetricsGone(
                f"Nothing is stored of {datetime.fromtimestamp(end, UTC):%b %d, %H:%M:%S} UTC: the scraper "
                f"did not run then, or it is more than {round(KEEP_SECONDS / 86_400)} days ago."
            )
        raise MetricsUnavailable(
            f"The scraper stored nothing in the {self._stalled:g} s up to the end of the window.",
            hint="See that `manage.py scrape` runs; its log tells why it stopped.",
        )


def _edges(window: Window) -> FloatArray:
    return np.array([window.start.timestamp(), window.end.timestamp()])


def _moments(grid: FloatArray, step: float) -> FloatArray:
    """The grid with the start of its first step."""
    return np.concatenate([[grid[0] - step], grid])


def _counters(
    metric: str, where: Where, moments: FloatArray, near: float
) -> Iterator[tuple[dict[str, str], FloatArray, BoolArray]]:
    for target, plan, pages in read.plans(where, moments, near):
        columns = [_series_columns(page.layout, metric) for page in pages]
        for key in dict.fromkeys(key for found in columns for key in found):
            labels = {**target, **dict(key)}
            if matches(labels, where):
                values = _values(pages, [found.get(key) for found in columns], 1)
                yield labels, read.gains(plan, values)[:, 0], plan.measured


def _histograms(
    metric: str, where: Where, moments: FloatArray, near: float
) -> Iterator[tuple[dict[str, str], FloatArray, FloatArray]]:
    for target, plan, pages in read.plans(where, moments, near):
        columns = [_bucket_columns(page.layout, metric) for page in pages]
        for key, edges in dict.fromkeys(key for found in columns for key in found):
            labels = {**target, **dict(key)}
            if matches(labels, where):
                values = _values(pages, [found.get((key, edges)) for found in columns], len(edges) + 1)
                cumulative = np.maximum.accumulate(read.gains(plan, values), axis=1)
                counts = np.diff(cumulative, axis=1, prepend=0.0)
                yield labels, np.array(edges), counts * plan.measured[:, None]


def _latest(metric: str, where: Where, moments: FloatArray) -> Iterator[tuple[dict[str, str], float]]:
    for target in read.targets(where, moments):
        row = target.rows[-1]
        if row.at <= moments[0]:
            continue
        if metric == "up":
            if matches(target.labels, where):
                yield dict(target.labels), float(row.up)
        elif row.up:
            page = read.pages([row.id])[row.id]
            for key, columns in _series_columns(page.layout, metric).items():
                labels = {**target.labels, **dict(key)}
                if matches(labels, where):
                    yield labels, float(page.values[columns[0]])


@lru_cache(maxsize=4096)
def _series_columns(layout: Layout, metric: str) -> Mapping[Key, tuple[int, ...]]:
    return {tuple(layout.columns[index][1].items()): (index,) for index in layout.by_name.get(metric, ())}


@lru_cache(maxsize=4096)
def _bucket_columns(layout: Layout, metric: str) -> Mapping[tuple[Key, tuple[float, ...]], tuple[int, ...]]:
    """Columns of every histogram by (labels, edges): one whose edges changed is another histogram."""
    return {
        (tuple(item.labels.items()), tuple(item.edges.tolist())): item.columns
        for item in layout.histograms(metric)
    }


def _values(pages: Sequence[read.Page], columns: Sequence[tuple[int, ...] | None], width: int) -> FloatArray:
    """Values of one series or histogram in every page, shape (pages, width).

    Where a page lacks it: 0 when the process began anew with that page, else NaN, not known.
    """
    values = np.full((len(pages), width), np.nan)
    for index, (page, where) in enumerate(zip(pages, columns, strict=True)):
        if where is not None:
            values[index] = page.values[list(where)]
        elif index and read.restarted(pages[index - 1], page):
            values[index] = 0.0
    return values


def _together(parts: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """All parts' counts per step, added over the edges that every part has."""
    edges = reduce(np.intersect1d, (own for own, _ in parts))
    total = [np.add.reduceat(counts, bin_starts(own, edges), axis=1) for own, counts in parts]
    return edges, np.sum(total, axis=0)
