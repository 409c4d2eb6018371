"""How far apart two binned populations are, in the measures that people know.

All take counts of shape (B,) over the same bins. Logarithms are natural.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, kolmogorov, rel_entr

from monitoring.domain.arrays import FloatArray
from monitoring.domain.drift.psi import smoothed
from monitoring.domain.histogram import Histogram, on_common_edges


def kullback_leibler(counts: FloatArray, reference: FloatArray) -> float:
    """KL(counts ‖ reference) over smoothed shares, in nats; ≥ 0, not symmetric."""
    return float(rel_entr(smoothed(counts), smoothed(reference)).sum())


def jensen_shannon(counts: FloatArray, reference: FloatArray) -> float:
    """Jensen–Shannon distance over the raw shares, the square root of the divergence to base 2; in [0, 1]."""
    p, q = counts / counts.sum(), reference / reference.sum()
    middle = (p + q) / 2
    divergence = rel_entr(p, middle).sum() + rel_entr(q, middle).sum()
    return float(np.sqrt(max(0.0, divergence) / np.log(2) / 2))


@dataclass(frozen=True, slots=True)
class Tested:
    """A test statistic and the probability of one at least as large without drift."""

    statistic: float
    p_value: float


def chi_square(counts: FloatArray, reference: FloatArray) -> Tested:
    """Pearson's χ² of homogeneity over the bins that either side used; p from B − 1 degrees of freedom."""
    used = (counts + reference) > 0
    table = np.array([counts[used], reference[used]])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return Tested(statistic, float(chdtrc(used.sum() - 1, statistic)) if used.sum() > 1 else 1.0)


def kolmogorov_smirnov(counts: FloatArray, reference: FloatArray) -> Tested:
    """Largest distance of the cumulative shares at the edges: a lower bound of the unbinned statistic.

    So the asymptotic p-value is an upper bound of that of the values themselves.
    """
    n, m = float(counts.sum()), float(reference.sum())
    statistic = float(np.abs(np.cumsum(counts) / n - np.cumsum(reference) / m).max())
    return Tested(statistic, float(kolmogorov(statistic * np.sqrt(n * m / (n + m)))))


def wasserstein(left: Histogram, right: Histogram, low: float, high: float) -> float:
    """Earth mover's distance in the unit of the values: the area between the cumulative shares.

    `low` and `high`, the smallest and largest value observed, close the open bins; within a bin values count
    as spread evenly. It differs from the distance of the values themselves by at most the widest bin.
    """
    left, right = on_common_edges(left, right)
    bounds = np.concatenate(([min(low, left.edges[0])], left.edges, [max(high, left.edges[-1])]))
    gap = np.concatenate(([0.0], np.cumsum(left.counts / left.total - right.counts / right.total)))
    return float(_area(np.diff(bounds), gap[:-1], gap[1:]).sum())


def _area(width: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """Areas under |line from start to end|, crossing zero or not, shape (B,)."""
    crosses = start * end < 0
    whole = width * np.abs(start + end) / 2
    span = np.where(crosses, np.abs(start) + np.abs(end), 1.0)
    area: FloatArray = np.where(crosses, width * (start**2 + end**2) / (2 * span), whole)
    return area
