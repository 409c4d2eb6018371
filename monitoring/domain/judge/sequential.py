"""Tests and bounds for counts that stay valid however often one looks while the counts grow.

The evidence against "the rate is at most r" is the likelihood of the data averaged over all higher rates,
divided by its likelihood at r. Under the null hypothesis it is a non-negative supermartingale that starts
at 1, so by Ville's inequality the chance that it ever reaches 1/alpha, at any look, is at most alpha
(Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform confidence sequences"). With Beta
weights over the rates the average has a closed form. Everything is computed on logarithms.
"""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.special import betainc, betaincc, betaln

# How strongly the weights gather around the null: for events, a fifth of the weight is spread over all
# rates, so that a handful suffices when nearly all of them hit a small canary.
EVENTS_CONCENTRATION = 20.0
EVENTS_SPREAD = 0.2
RANKS_CONCENTRATION = 20.0


def _log_average(bad: int, total: int, rate: float, a: float, b: float) -> float:
    """Log of the likelihood ratio averaged over (rate, 1) with the weights of Beta(a, b)."""
    above = float(betaincc(a + bad, b + total - bad, rate))
    if above <= 0:
        return -math.inf
    prior = float(betaln(a, b)) + math.log(float(betaincc(a, b, rate)))
    posterior = float(betaln(a + bad, b + total - bad)) + math.log(above)
    return posterior - prior - bad * math.log(rate) - (total - bad) * math.log1p(-rate)


def log_evidence(bad: int, total: int, rate: float) -> float:
    """Log of the evidence, from `bad` of `total`, that the true rate is above `rate` in (0, 1).

    Weights: Beta(c·rate, c·(1 − rate)), c = EVENTS_CONCENTRATION; uniform for the share EVENTS_SPREAD.
    """
    c = EVENTS_CONCENTRATION
    near = math.log(1 - EVENTS_SPREAD) + _log_average(bad, total, rate, c * rate, c * (1 - rate))
    wide = math.log(EVENTS_SPREAD) + _log_average(bad, total, rate, 1.0, 1.0)
    high, low = max(near, wide), min(near, wide)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def surely_above(bad: int, total: int, rate: float, alpha: float) -> bool:
    """Whether the evidence that the true rate is above `rate` has reached 1/alpha; any event is above 0."""
    if rate <= 0 or rate >= 1:
        return rate <= 0 < bad
    return bad > rate * total and log_evidence(bad, total, rate) >= -math.log(alpha)


def share_lower(bad: int, total: int, share: float, alpha: float) -> float:
    """The least share in [`share`, 1] that the evidence does not exclude; `share` when it excludes none."""
    low, high = share, bad / total if total else share
    if high <= low or log_evidence(bad, total, low) < -math.log(alpha):
        return share
    for _ in range(40):
        middle = (low + high) / 2
        if log_evidence(bad, total, middle) >= -math.log(alpha):
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=8192)
def rate_lower(bad: int, total: int, alpha: float) -> float:
    """Lower bound of a rate that holds at all looks together with confidence 1 − alpha.

    The smaller root of bad·ln p + (total−bad)·ln(1−p) = ln alpha + ln B(bad+½, total−bad+½)/B(½, ½): the edge
    of what evidence averaged over all rates does not exclude. Newton on u = ln p from outside: the left side
    is concave in u, so the steps approach the root from one side.
    """
    if bad == 0:
        return 0.0
    good = total - bad
    level = math.log(alpha) + float(betaln(bad + 0.5, good + 0.5)) - math.log(math.pi)
    u = level / bad
    for _ in range(50):
        p = math.exp(u)
        step = (bad * u + good * math.log1p(-p) - level) / (bad - good * p / (1 - p))
        u -= step
        if abs(step) < 1e-12 * max(1.0, abs(u)):
            break
    return math.exp(u)


def rate_upper(bad: int, total: int, alpha: float) -> float:
    """Upper bound of a rate that holds at all looks together with confidence 1 − alpha."""
    return 1 - rate_lower(total - bad, total, alpha)


def difference_bounds(
    bad: int, total: int, other_bad: int, other_total: int, alpha: float
) -> tuple[float, float]:
    """Bounds of the difference of two rates, from the bounds of each by the square-and-add rule.

    Zou & Donner 2008, "Construction of confidence intervals about effect measures" (MOVER).
    """
    rate, other = bad / total, other_bad / other_total
    down = math.hypot(
        rate - rate_lower(bad, total, alpha),
        rate_upper(other_bad, other_total, alpha) - other,
    )
    up = math.hypot(
        rate_upper(bad, total, alpha) - rate,
        other - rate_lower(other_bad, other_total, alpha),
    )
    return max(-1.0, rate - other - down), min(1.0, rate - other + up)


@lru_cache(maxsize=8192)
def rank_below(n: int, quantile: float, alpha: float) -> int:
    """The largest count c such that c of n values at or below x proves, at all looks together with
    confidence 1 − alpha, that the quantile lies above x; −1 when no count does."""
    a, b = RANKS_CONCENTRATION * quantile, RANKS_CONCENTRATION * (1 - quantile)
    constant = (
        -float(betaln(a, b)) - math.log(float(betainc(a, b, quantile))) - n * math.log1p(-quantile)
    ) + math.log(alpha)
    slope = math.log(quantile) - math.log1p(-quantile)

    def proves(count: int) -> bool:
        below = float(betainc(a + count, b + n - count, quantile))
        if below <= 0:
            return False
        return float(betaln(a + count, b + n - count)) + math.log(below) - count * slope + constant >= 0

    # The answer is near four standard deviations below the mean: gallop from there, then halve.
    spread = math.sqrt(n * quantile * (1 - quantile))
    low, high = math.floor(n * quantile - 4 * spread), math.ceil(n * quantile)
    step = max(1, round(spread / 2))
    while low >= 0 and not proves(low):
        low, high, step = low - step, low, 2 * step
    if low < 0:
        if not proves(0):
            return -1
        low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if proves(middle) else (low, middle)
    return low
