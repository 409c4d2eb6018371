"""Prometheus as a MetricsSource."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import numpy as np
from django.conf import settings
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests import RequestException
from urllib3.util.retry import Retry

from monitoring.adapters.prometheus import promql
from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, Where

T = TypeVar("T")
# The `result` of the query API as JSON.
Rows = Sequence[Mapping[str, Any]]

TIMEOUT_SECONDS = 10
# `increase` needs two samples; with four scrapes in the range one may be late and one may be lost.
SCRAPES_IN_RANGE = 4
# No connection, a refusal, or an answer that is not what the API promises.
_TROUBLE = (
    RequestException, PrometheusApiClientException, LookupError, TypeError, ValueError, AttributeError,
)  # fmt: skip


class PrometheusSource:
    """Increases are Prometheus' own: extrapolated to the window's edges, so not whole numbers.

    `headers` carries a bearer token or a tenant (`X-Scope-OrgID`), `auth` user and password. Retries are
    few and short: an analysis that cannot read holds the rollout and asks again at its next look.
    """

    needs_url = True

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        verify_tls: bool = True,
        scrape_interval: float = 15.0,
        timeout: int = TIMEOUT_SECONDS,
    ) -> None:
        retry = Retry(total=1, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False)
        self._client = PrometheusConnect(
            url=url.rstrip("/"), headers=dict(headers or {}), auth=auth, disable_ssl=not verify_tls,
            retry=retry, timeout=timeout, method="POST",
        )  # fmt: skip
        self._url = url
        self._shortest = SCRAPES_IN_RANGE * scrape_interval

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            settings.SLIPWAY_PROMETHEUS_URL,
            headers=getattr(settings, "SLIPWAY_PROMETHEUS_HEADERS", None),
            auth=getattr(settings, "SLIPWAY_PROMETHEUS_AUTH", None),
            verify_tls=getattr(settings, "SLIPWAY_PROMETHEUS_VERIFY_TLS", True),
            scrape_interval=settings.SLIPWAY_SCRAPE_INTERVAL,
        )

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return self._scalars(promql.increase(metric, by, where, window.seconds), by, window)

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        query = promql.bucket_increase(metric, by, where, window.seconds)
        at = np.array([window.end.timestamp()])
        found = self._instant(query, window, lambda rows: _histograms(rows, by, at))
        return {group: Histogram(edges, counts[0]) for group, (edges, counts) in found.items()}

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
        return self._scalars(promql.latest(metric, by, where, window.seconds), by, window)

    def _scalars(self, query: str, by: Sequence[str], window: Window) -> dict[Group, float]:
        at = np.array([window.end.timestamp()])
        found = self._instant(query, window, lambda rows: _series(rows, by, at))
        return {group: float(values[0]) for group, values in found.items() if not np.isnan(values[0])}

    def _instant(self, query: str, window: Window, read: Callable[[Rows], T]) -> T:
        at = f"{window.end.timestamp():.3f}"
        return self._asked(lambda: self._client.custom_query(query, params={"time": at}), read)

    def _range(self, query: str, grid: FloatArray, step: float, read: Callable[[Rows], T]) -> T:
        # The client rounds its times to seconds; as parameters they keep their milliseconds.
        times = {"start": f"{grid[0]:.3f}", "end": f"{grid[-1]:.3f}"}
        end = datetime.fromtimestamp(float(grid[-1]), UTC)
        return self._asked(
            lambda: self._client.custom_query_range(
                query, start_time=end, end_time=end, step=f"{step:.3f}", params=times
            ),
            read,
        )

    def _asked(self, ask: Callable[[], Rows], read: Callable[[Rows], T]) -> T:
        """What `read` makes of the answer; whatever goes wrong with either is MetricsUnavailable."""
        try:
            return read(ask())
        except _TROUBLE as error:
            what = str(error)[:300] or type(error).__name__
            raise MetricsUnavailable(
                f"Prometheus at {self._url} did not answer as it should: {what}.",
                hint="See SLIPWAY_PROMETHEUS_URL and whether the server is up.",
            ) from error


def _group(row: Mapping[str, Any], by: Sequence[str]) -> Group:
    return tuple(row["metric"].get(name, "") for name in by)


def _series(rows: Rows, by: Sequence[str], grid: FloatArray) -> dict[Group, FloatArray]:
    return {_group(row, by): _on_grid(row, grid) for row in rows}


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
