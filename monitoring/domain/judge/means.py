"""Comparing two means at any number of looks.

With standard error s, the difference divided by s² is about a Brownian motion in the information 1/s², at
whatever rates the two samples grow (Jennison & Turnbull 1997, "Group-sequential analysis incorporating
covariate information"). Averaging its likelihood ratio over normal effects N(0, τ²) gives a supermartingale
(Robbins 1970), so by Ville's inequality

    |difference − truth| ≤ s²·√( 2(1/s² + 1/τ²) · ln(√(1 + τ²/s²)/α) )

holds at all looks together with probability 1 − α, asymptotically (Waudby-Smith, Arbour, Sinha, Kennedy &
Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence sequences").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtr

from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge.sequential import difference_bounds

# The bounds are tightest when each side has about twice as many values.
BEST_AT = 500.0


@dataclass(frozen=True, slots=True)
class Moments:
    """How many values were seen, their mean, their variance (n − 1), and whether all were 0 or 1."""

    n: int
    mean: float
    variance: float
    binary: bool

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        n = len(values)
        return cls(
            n=n,
            mean=float(values.mean()) if n else 0.0,
            variance=float(values.var(ddof=1)) if n > 1 else 0.0,
            binary=bool(np.isin(values, (0.0, 1.0)).all()),
        )

    @property
    def ones(self) -> int:
        return round(self.n * self.mean)


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` = one mean minus the other's, its bounds at all looks together, and `p_below`, the chance at
    this one look of a value as low or lower without a difference."""

    value: float
    lower: float
    upper: float
    p_below: float


def difference(one: Moments, other: Moments, alpha: float) -> Difference:
    """Both must hold at least 2 values. Rates have exact bounds each, combined by the square-and-add rule."""
    value = one.mean - other.mean
    squared = one.variance / one.n + other.variance / other.n
    p_below = float(ndtr(value / math.sqrt(squared))) if squared > 0 else 0.5
    if one.binary and other.binary:
        lower, upper = difference_bounds(one.ones, one.n, other.ones, other.n, alpha)
    else:
        radius = mixture_radius(squared, one.n * other.n / (one.n + other.n), alpha)
        lower, upper = value - radius, value + radius
    return Difference(value, lower, upper, p_below)


def mixture_radius(squared: float, size: float, alpha: float) -> float:
    """Half the width of the bounds; `squared` is the squared standard error of a difference between samples
    of the effective size `size` = n·m/(n + m). It scales with the unit of the values."""
    if squared <= 0:
        return 0.0
    level = 2 * math.log(1 / alpha)
    # The weights that make the bounds tightest at BEST_AT: Waudby-Smith et al., equation (24).
    weights = (level + math.log(level + 1) + 1) * (squared * size / BEST_AT)
    inside = 2 * (1 / squared + 1 / weights) * math.log(math.sqrt(1 + weights / squared) / alpha)
    return squared * math.sqrt(inside)
