"""What a metrics source that is no Prometheus answers to PromQL, and gauges from its newest values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.series import Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, Where


class PlainSource:
    """Part of a MetricsSource that has `latest`."""

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        raise NotImplementedError

    def gauges(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        """`latest` of each step."""
        grid = window.grid(step)
        found: dict[Group, FloatArray] = {}
        for index, at in enumerate(grid):
            part = Window.last(step, datetime.fromtimestamp(float(at), UTC))
            for group, value in self.latest(metric, by=by, where=where, window=part).items():
                found.setdefault(group, np.full(len(grid), np.nan))[index] = value
        return {group: Series(grid, values) for group, values in found.items()}

    def expression(self, query: str, *, window: Window, step: float) -> Series:
        """There is no PromQL here."""
        raise MetricsUnavailable(
            f"{type(self).__name__} speaks no PromQL, so it cannot answer a query.",
            hint="Set SLIPWAY_METRICS_SOURCE to monitoring.adapters.prometheus.PrometheusSource.",
        )
