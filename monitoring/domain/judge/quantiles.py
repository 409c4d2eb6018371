"""Confidence bounds of a quantile from binned counts, and of the ratio and difference of two of them.

Order statistics: the r-th smallest of n values lies below the true q-quantile with probability
P(Bin(n, q) ≥ r), whatever the distribution (e.g. Hahn & Meeker, Statistical Intervals, §5). Ranks map to
values through the histogram's CDF, linear inside a bin: the bounds are those of the values spread evenly
over their bins, which is what `Histogram.quantile` measures, on both sides of a comparison alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtr, bdtrik

from monitoring.domain.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantile and its one-sided bounds; `upper` is inf where the data cannot bound it."""

    n: int
    value: float
    lower: float
    upper: float


def _largest_rank(n: int, q: float, alpha: float) -> int:
    """The largest k with P(Bin(n, q) < k) ≤ alpha; 0 when there is none."""
    root = float(bdtrik(alpha, n, q))
    if math.isnan(root):
        return 0
    k = int(root) + 1
    # The inversion works to about 1e-9: settle the neighbouring integers by the exact tail.
    while k > 0 and bdtr(k - 1, n, q) > alpha:
        k -= 1
    return k


def estimate(histogram: Histogram, quantile: float, alpha: float) -> Estimate:
    """The quantile with bounds that each hold at confidence 1 − alpha.

    Counts are rounded to whole observations. `lower` is 0 without enough observations below, `upper`
    inf without enough above or when it falls into the open last bin.
    """
    n = round(histogram.total)
    below = _largest_rank(n, quantile, alpha)
    above = n - _largest_rank(n, 1 - quantile, alpha) + 1
    lower = histogram.quantile(max(0, below - 1) / n) if below else 0.0
    closed = (n - float(histogram.counts[-1])) / n
    upper = histogram.quantile(above / n) if above <= n and above / n <= closed else math.inf
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
