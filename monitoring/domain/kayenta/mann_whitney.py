"""The Mann–Whitney shift between two samples with its confidence interval, as R and Kayenta compute it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import rankdata

from monitoring.domain.arrays import FloatArray

CONFIDENCE = 0.98
# Absolute tolerance of the root search; results are only that exact.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Shift:
    """How much the experiment lies above the control: the estimate and its confidence interval."""

    lower: float
    upper: float
    estimate: float


def shift(experiment: FloatArray, control: FloatArray, confidence: float = CONFIDENCE) -> Shift:
    """The shift between two samples, not all of whose values may be equal.

    Normal approximation with continuity and tie correction (Hollander & Wolfe 1999, chapter 4); the limits
    are where the standardised rank sum crosses the normal quantiles, found by Brent's method.
    """
    quantile = float(ndtri(1 - (1 - confidence) / 2))
    return Shift(
        lower=_root(experiment, control, quantile),
        upper=_root(experiment, control, -quantile),
        estimate=_root(experiment, control, 0.0),
    )


def standardised(experiment: FloatArray, control: FloatArray, moved: float) -> float:
    """The rank sum of the experiment, moved down by `moved`, as a standard normal deviate."""
    n, m = len(experiment), len(control)
    ranks = rankdata(np.concatenate([experiment - moved, control]))
    _, ties = np.unique(ranks, return_counts=True)
    centred = float(ranks[:n].sum()) - n * (n + 1) / 2 - n * m / 2
    tie_sum = float((ties.astype(np.float64) ** 3 - ties).sum())
    variance = n * m / 12 * ((n + m + 1) - tie_sum / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 0.0
    return float((centred - np.sign(centred) * 0.5) / np.sqrt(variance))


def _root(experiment: FloatArray, control: FloatArray, quantile: float) -> float:
    low = float(experiment.min() - control.max())
    high = float(experiment.max() - control.min())

    def above(moved: float) -> float:
        return standardised(experiment, control, moved) - quantile

    if above(low) <= 0:
        return low
    if above(high) >= 0:
        return high
    return float(brentq(above, low, high, xtol=TOLERANCE))
