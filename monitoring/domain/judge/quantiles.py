"""Confidence bounds of a quantile from binned counts, and of the ratio and difference of two of them.

The quantile lies above x exactly when less than a share q of all values lie at or below x, so counts at the
edges are tested sequentially, whatever the distribution of latencies. Ranks map to values through the
histogram's CDF, linear inside a bin: the bounds are those of the values spread evenly over their bins, which
is what `Histogram.quantile` measures, on both sides of a comparison alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitoring.domain.histogram import Histogram
from monitoring.domain.judge.sequential import rank_below


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantile and its one-sided bounds; `upper` is inf where the data cannot bound it."""

    n: int
    value: float
    lower: float
    upper: float


def estimate(histogram: Histogram, quantile: float, alpha: float) -> Estimate:
    """The quantile with bounds that each hold at confidence 1 − alpha, at all looks at a growing histogram.

    Counts are rounded to whole observations. `lower` is 0 without enough observations below, `upper`
    inf without enough above or when it falls into the open last bin.
    """
    n = round(histogram.total)
    below = rank_below(n, quantile, alpha)
    beyond = rank_below(n, 1 - quantile, alpha)
    lower = histogram.quantile(below / n) if below > 0 else 0.0
    closed = (n - float(histogram.counts[-1])) / n
    above = (n - beyond) / n
    upper = histogram.quantile(above) if beyond >= 0 and above <= closed else math.inf
    return Estimate(n, histogram.quantile(quantile), lower, upper)


def ratio_bounds(top: Estimate, bottom: Estimate) -> tuple[float, float]:
    """Bounds of top/bottom by the square-and-add rule on the log scale (Zou & Donner 2008)."""
    if not (top.value > 0 and bottom.value > 0):
        return 0.0, math.inf
    ratio = top.value / bottom.value
    lower, upper = 0.0, math.inf
    if top.lower > 0 and math.isfinite(bottom.upper):
        lower = ratio * math.exp(
            -math.hypot(math.log(top.value / top.lower), math.log(bottom.upper / bottom.value))
        )
    if bottom.lower > 0 and math.isfinite(top.upper):
        upper = ratio * math.exp(
            math.hypot(math.log(top.upper / top.value), math.log(bottom.value / bottom.lower))
        )
    return lower, upper
