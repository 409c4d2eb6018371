"""Exact tests and intervals for counts of bad events among requests."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtrc, betaincinv, gammaln

# Terms of a hypergeometric tail that are summed; what lies beyond is bounded, never dropped.
TAIL_TERMS = 512


def clopper_pearson_lower(bad: int, total: int, alpha: float) -> float:
    """One-sided exact lower bound of a rate at confidence 1 − alpha (Clopper & Pearson 1934)."""
    return 0.0 if bad == 0 else float(betaincinv(bad, total - bad + 1, alpha))


def clopper_pearson_upper(bad: int, total: int, alpha: float) -> float:
    """One-sided exact upper bound of a rate at confidence 1 − alpha."""
    return 1.0 if bad >= total else float(betaincinv(bad + 1, total - bad, 1 - alpha))


def _log_choose(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fisher_greater(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """p-value of Fisher's exact test that the first rate is not above the second.

    P(X ≥ bad) where X of all bad + other_bad events fall on the first group by chance (hypergeometric).
    Exact up to TAIL_TERMS terms; the rest is replaced by a geometric upper bound, valid because the
    ratios of neighbouring terms fall, so the answer never errs towards significance.
    """
    events = bad + other_bad
    last = min(total, events)
    if bad <= max(0, events - other_total):
        return 1.0
    k = np.arange(bad, min(last, bad + TAIL_TERMS) + 1, dtype=np.float64)
    constant = _log_choose(total + other_total, events)
    log_terms = (
        math.lgamma(total + 1)
        - gammaln(k + 1)
        - gammaln(total - k + 1)
        + math.lgamma(other_total + 1)
        - gammaln(events - k + 1)
        - gammaln(other_total - events + k + 1)
        - constant
    )
    terms = np.exp(log_terms)
    tail = float(terms.sum())
    reached = int(k[-1])
    if reached < last:
        ratio = (
            (total - reached) * (events - reached) / ((reached + 1) * (other_total - events + reached + 1))
        )
        tail = 1.0 if ratio >= 1 else tail + float(terms[-1]) * ratio / (1 - ratio)
    return min(1.0, tail)


def binomial_greater(bad: int, total: int, rate: float) -> float:
    """p-value of the exact test that the true rate is not above `rate`: P(Bin(total, rate) ≥ bad)."""
    return 1.0 if bad == 0 else float(bdtrc(bad - 1, total, rate))


def difference_bounds(
    bad: int, total: int, other_bad: int, other_total: int, alpha: float
) -> tuple[float, float]:
    """One-sided bounds, each at confidence 1 − alpha, of the difference of two rates.

    The exact bounds of the single rates are combined by the square-and-add rule (Zou & Donner 2008,
    "Construction of confidence intervals about effect measures", MOVER).
    """
    rate, other = bad / total, other_bad / other_total
    down = math.hypot(
        rate - clopper_pearson_lower(bad, total, alpha),
        clopper_pearson_upper(other_bad, other_total, alpha) - other,
    )
    up = math.hypot(
        clopper_pearson_upper(bad, total, alpha) - rate,
        other - clopper_pearson_lower(other_bad, other_total, alpha),
    )
    return rate - other - down, rate - other + up
