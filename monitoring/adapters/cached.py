"""One analysis, one question: gates that ask for the same numbers share the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from monitoring.domain.histogram import Histogram
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, MetricsSource, Where

T = TypeVar("T")


class CachedSource:
    """A MetricsSource that remembers the answers, and the outages, of another for as long as it lives."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source
        self._answers: dict[Any, Any] = {}

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return self._once(self._source.increase, metric, by, where, window=window)

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        return self._once(self._source.histogram, metric, by, where, window=window)

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        return self._once(self._source.rates, metric, by, where, window=window, step=step)

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        return self._once(self._source.histogram_series, metric, by, where, window=window, step=step)

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return self._once(self._source.latest, metric, by, where, window=window)

    def _once(self, ask: Callable[..., T], metric: str, by: Sequence[str], where: Where, **rest: Any) -> T:
        conditions = tuple(sorted((k, v if isinstance(v, str) else tuple(v)) for k, v in where.items()))
        key = (ask.__name__, metric, tuple(by), conditions, tuple(rest.items()))
        if key not in self._answers:
            try:
                self._answers[key] = ask(metric, by=by, where=where, **rest)
            except MetricsUnavailable as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, MetricsUnavailable):
            raise answer
        return answer  # type: ignore[no-any-return]
