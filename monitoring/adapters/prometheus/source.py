"""Prometheus as a MetricsSource."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np
from django.conf import settings

from monitoring.adapters.cached import Question
from monitoring.adapters.prometheus import promql
from monitoring.adapters.prometheus.client import Access, Client, Rows
from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, Where

T = TypeVar("T")
# `increase` needs two samples; with four scrapes in the range one may be late and one may be lost.
SCRAPES_IN_RANGE = 4
STALLED_SECONDS = 120.0
# A joint query is about so many questions at most, so that neither its text (about 60 kB) nor the time that
# one answer takes grows without end. A tick claims fewer endpoints than that.
TOGETHER_AT_MOST = 200
_TOGETHER = ("increase", "histogram")


class PrometheusSource:
    """Increases are Prometheus' own: extrapolated to the window's edges, so not whole numbers.

    `heartbeat` is a metric of which every scrape leaves a sample; when its newest is more than
    `stalled_after` seconds older than the end of a window, nothing is being collected, and old counts must
    not pass for new ones. Empty turns the check off, for stores that are pushed to and have no `up`.
    Retries are few and short: an analysis that cannot read holds the rollout and asks again at its next look.
    """

    needs_url = True

    def __init__(
        self,
        access: Access,
        *,
        scrape_interval: float = 15.0,
        heartbeat: str = "up",
        stalled_after: float = STALLED_SECONDS,
    ) -> None:
        self._client = Client(access)
        self._shortest = SCRAPES_IN_RANGE * scrape_interval
        self._heartbeat = heartbeat
        self._stalled_after = max(stalled_after, 5 * scrape_interval)

    @classmethod
    def from_settings(cls) -> Self:
        access = Access(
            settings.SLIPWAY_PROMETHEUS_URL,
            headers=settings.SLIPWAY_PROMETHEUS_HEADERS,
            auth=settings.SLIPWAY_PROMETHEUS_AUTH,
            token=settings.SLIPWAY_PROMETHEUS_TOKEN,
            tenant=settings.SLIPWAY_PROMETHEUS_TENANT,
            verify=settings.SLIPWAY_PROMETHEUS_VERIFY_TLS,
            ca=settings.SLIPWAY_PROMETHEUS_CA,
            certificate=settings.SLIPWAY_PROMETHEUS_CERTIFICATE,
            key=settings.SLIPWAY_PROMETHEUS_KEY,
            timeout=settings.SLIPWAY_PROMETHEUS_TIMEOUT,
            retries=settings.SLIPWAY_PROMETHEUS_RETRIES,
        )
        return cls(
            access,
            scrape_interval=settings.SLIPWAY_SCRAPE_INTERVAL,
            heartbeat=settings.SLIPWAY_PROMETHEUS_HEARTBEAT,
        )

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        query = promql.increase(metric, by, where, window.seconds)
        at = np.array([window.end.timestamp()])
        return self._instant(query, window, lambda rows: _increases_at(rows, by, at))

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        query = promql.bucket_increase(metric, by, where, window.seconds)
        at = np.array([window.end.timestamp()])
        return self._instant(query, window, lambda rows: _histograms_at(rows, by, at))

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        grid, seconds = window.grid(step), max(step, self._shortest)
        query = promql.increase(metric, by, where, seconds)
        found = self._range(query, grid, step, lambda rows: _series(rows, by, grid))
        return {
            group: Series(grid, values / seconds)
            for group, values in found.items()
            if not np.isnan(values).all()
        }

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        grid, seconds = window.grid(step), max(step, self._shortest)
        query = promql.bucket_increase(metric, by, where, seconds)
        found = self._range(query, grid, step, lambda rows: _histograms(rows, by, grid))
        return {
            group: HistogramSeries(grid, edges, counts * (step / seconds))
            for group, (edges, counts) in found.items()
        }

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        query = promql.latest(metric, by, where, window.seconds)
        at = np.array([window.end.timestamp()])
        return self._instant(query, window, lambda rows: _values_at(rows, by, at))

    def gauges(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        grid = window.grid(step)
        query = promql.latest(metric, by, where, max(step, self._shortest))
        found = self._range(query, grid, step, lambda rows: _series(rows, by, grid))
        return {group: Series(grid, values) for group, values in found.items() if not np.isnan(values).all()}

    def expression(self, query: str, *, window: Window, step: float) -> Series:
        grid = window.grid(step)
        return Series(grid, self._range(query, grid, step, lambda rows: _only_series(rows, grid)))

    def answer(self, questions: Sequence[Question]) -> dict[Question, Any]:
        """The answers to many questions, MetricsUnavailable as the answer where there is none.

        Increases and histograms cost one request per metric, grouping and end of window for every
        TOGETHER_AT_MOST endpoints and windows that they are about; other questions cost one each.
        """
        families: dict[object, list[Question]] = defaultdict(list)
        for item in questions:
            family = (item.method, item.metric, item.by, item.window.end)
            families[family if item.method in _TOGETHER else item].append(item)
        return {
            item: found
            for family in families.values()
            for start in range(0, len(family), TOGETHER_AT_MOST)
            for item, found in self._family(family[start : start + TOGETHER_AT_MOST])
        }

    def _family(self, family: Sequence[Question]) -> Iterable[tuple[Question, Any]]:
        try:
            if len(family) == 1:
                return [(family[0], family[0].ask(self))]
            return zip(family, self._asked_together(family), strict=True)
        except MetricsUnavailable as error:
            return [(item, error) for item in family]

    def _asked_together(self, family: Sequence[Question]) -> list[Any]:
        first = family[0]
        write = promql.increase if first.method == "increase" else promql.bucket_increase
        query = promql.together([write(q.metric, q.by, q.where, q.window.seconds) for q in family])
        at = np.array([first.window.end.timestamp()])

        def read(rows: Rows) -> list[Any]:
            mine: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
            for row in rows:
                mine[int(row["metric"][promql.QUESTION])].append(row)
            take = _increases_at if first.method == "increase" else _histograms_at
            return [take(mine[index], first.by, at) for index in range(len(family))]

        return self._instant(query, first.window, read)

    def _instant(self, query: str, window: Window, read: Callable[[Rows], T]) -> T:
        if self._heartbeat:
            query = promql.with_heartbeat(query, self._heartbeat)
        return self._client.instant(
            query, window.end.timestamp(), lambda rows: read(self._alive(rows, window.end.timestamp()))
        )

    def _alive(self, rows: Rows, end: float) -> Rows:
        """The rows of the question; ValueError when the provider collected nothing for too long."""
        if not self._heartbeat:
            return rows
        beats = [row for row in rows if promql.HEARTBEAT in row["metric"]]
        age = end - float(beats[0]["value"][1]) if beats else math.inf
        if not age <= self._stalled_after:
            since = f"the last is {age:,.0f} s old" if beats else "there is none"
            raise ValueError(f"it collects nothing; of the samples of {self._heartbeat} {since}")
        return [row for row in rows if promql.HEARTBEAT not in row["metric"]]

    def _range(self, query: str, grid: FloatArray, step: float, read: Callable[[Rows], T]) -> T:
        return self._client.range(query, float(grid[0]), float(grid[-1]), step, read)


def _group(row: Mapping[str, Any], by: Sequence[str]) -> Group:
    return tuple(row["metric"].get(name, "") for name in by)


def _series(rows: Rows, by: Sequence[str], grid: FloatArray) -> dict[Group, FloatArray]:
    return {_group(row, by): _on_grid(row, grid) for row in rows}


def _only_series(rows: Rows, grid: FloatArray) -> FloatArray:
    """The values of the one row; ValueError for several."""
    if len(rows) > 1:
        raise ValueError(f"the query yields {len(rows)} series where one is needed; sum or aggregate them")
    return _on_grid(rows[0], grid) if rows else np.full(len(grid), np.nan)


def _increases_at(rows: Rows, by: Sequence[str], at: FloatArray) -> dict[Group, float]:
    """Values that can be increases; ValueError for others."""
    found = _values_at(rows, by, at)
    for group, value in found.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"an increase of {value:g} for {group} cannot be")
    return found


def _values_at(rows: Rows, by: Sequence[str], at: FloatArray) -> dict[Group, float]:
    found = _series(rows, by, at)
    return {group: float(values[0]) for group, values in found.items() if not np.isnan(values[0])}


def _histograms_at(rows: Rows, by: Sequence[str], at: FloatArray) -> dict[Group, Histogram]:
    found = _histograms(rows, by, at)
    return {group: Histogram.of(edges, counts[0]) for group, (edges, counts) in found.items()}


def _on_grid(row: Mapping[str, Any], grid: FloatArray) -> FloatArray:
    """A row's values at the times of the grid, NaN where it has none."""
    values = np.full(len(grid), np.nan)
    for at, text in row["values"] if "values" in row else [row["value"]]:
        index = int(np.argmin(np.abs(grid - float(at))))
        if abs(grid[index] - float(at)) < 0.01:
            values[index] = float(text)
    return values


def _histograms(
    rows: Rows, by: Sequence[str], grid: FloatArray
) -> dict[Group, tuple[FloatArray, FloatArray]]:
    """Edges (B−1,) and counts (T, B) per group, over the edges that every series of the group has."""
    sums: dict[Group, dict[float, FloatArray]] = defaultdict(dict)
    series: dict[Group, dict[float, FloatArray]] = defaultdict(dict)
    for row in rows:
        part = sums if row["metric"][promql.PART] == "sum" else series
        part[_group(row, by)][float(row["metric"]["le"])] = np.nan_to_num(_on_grid(row, grid))
    found = {}
    for group, buckets in sums.items():
        every = series[group].get(math.inf)
        if every is None:
            continue
        edges = sorted(edge for edge in buckets if np.array_equal(series[group].get(edge, ()), every))
        cumulative = np.maximum.accumulate(np.array([buckets[edge] for edge in edges]).T, axis=1)
        found[group] = (np.array(edges[:-1]), np.diff(cumulative, axis=1, prepend=0.0))
    return found
