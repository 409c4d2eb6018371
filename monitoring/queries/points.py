"""Points of time series per version, as Kayenta's rule compares them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource

QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


def points_of(
    gate: KayentaGate, source: MetricsSource, endpoint: str, versions: Sequence[str], window: Window
) -> dict[str, dict[str, FloatArray]]:
    """The gate's series of each version over the first points of the window, each of shape (points,).

    NaN where nothing was measured. Two queries at most. Raises MetricsUnavailable.
    """
    span = Window(window.start, window.start + timedelta(seconds=gate.seconds))
    where = {"endpoint": endpoint, "model_version": list(versions)}
    found = {version: {name: np.full(gate.points, np.nan) for name in gate.metrics} for version in versions}
    if set(gate.metrics) - set(QUANTILES):
        rates = source.rates(
            "model_predictions_total", by=("model_version", "status"), where=where, window=span,
            step=gate.step_seconds,
        )  # fmt: skip
        for version in versions:
            own = {status: s.values for (ref, status), s in rates.items() if ref == version}
            found[version].update(_counts(gate, own))
    if set(gate.metrics) & set(QUANTILES):
        latency = source.histogram_series(
            "model_prediction_seconds",
            by=("model_version",),
            where=where,
            window=span,
            step=gate.step_seconds,
        )
        for (version,), series in latency.items():
            for name in set(gate.metrics) & set(QUANTILES):
                found[version][name] = series.quantiles(QUANTILES[name]).values
    return found


def _counts(gate: KayentaGate, by_status: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Errors and requests of each step, from rates per status."""
    if not by_status:
        return {}
    unknown = np.all([np.isnan(values) for values in by_status.values()], axis=0)
    total = np.nansum(list(by_status.values()), axis=0) * gate.step_seconds
    bad = [values for status, values in by_status.items() if status in ERROR_STATUSES]
    errors = np.nansum(bad, axis=0) * gate.step_seconds if bad else np.zeros(len(total))
    share = np.full(len(total), np.nan)
    np.divide(errors, total, out=share, where=total > 0)
    series = {"errors": errors, "error_rate": share, "requests": total}
    return {name: np.where(unknown, np.nan, series[name]) for name in gate.metrics if name in series}
