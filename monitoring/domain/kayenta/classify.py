"""One metric: higher, lower, the same, or no data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.kayenta.clean import cleaned
from monitoring.domain.kayenta.mann_whitney import shift

# A shift counts when its whole confidence interval is farther from 0 than this share of the estimate.
BOUND = 0.25


class MetricClass(StrEnum):
    PASS = "pass"
    HIGH = "high"
    LOW = "low"
    NODATA = "nodata"
    NODATA_FAIL = "nodata_fail"


class Direction(StrEnum):
    """Which change of the metric is bad."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Metric:
    """How to compare one metric. `allowed_increase` and `allowed_decrease` are ratios of means that must be
    exceeded (e.g. 1.1 and 0.9); `critical` fails all when it fails; with `must_exist` no data fails."""

    name: str
    direction: Direction = Direction.EITHER
    allowed_increase: float = 1.0
    allowed_decrease: float = 1.0
    critical: bool = False
    must_exist: bool = False
    nan_as_zero: bool = False
    drop_outliers: bool = False


def classify(metric: Metric, experiment: FloatArray, control: FloatArray) -> MetricClass:
    """Compare the points of both sides, each of shape (n,) and (m,); NaN = nothing measured."""
    clean = {"nan_as_zero": metric.nan_as_zero, "drop_outliers": metric.drop_outliers}
    experiment, control = cleaned(experiment, **clean), cleaned(control, **clean)
    if not len(experiment) or not len(control):
        return MetricClass.NODATA_FAIL if metric.must_exist or metric.critical else MetricClass.NODATA
    if np.array_equal(experiment, control) or len(np.unique(np.concatenate([experiment, control]))) == 1:
        return MetricClass.PASS
    found = shift(experiment, control)
    bound = BOUND * abs(found.estimate)
    ratio = _mean_ratio(experiment, control)
    rises, falls = metric.direction is not Direction.DECREASE, metric.direction is not Direction.INCREASE
    if rises and found.lower > bound and ratio >= metric.allowed_increase:
        return MetricClass.HIGH
    if falls and found.upper < -bound and ratio <= metric.allowed_decrease:
        return MetricClass.LOW
    return MetricClass.PASS


def _mean_ratio(experiment: FloatArray, control: FloatArray) -> float:
    above, below = float(experiment.mean()), float(control.mean())
    if below == 0:
        return float("inf") if above > 0 else 1.0
    return above / below
