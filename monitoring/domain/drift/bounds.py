"""Divergences with the least true value that chance leaves possible, for gates.

PSI: see `psi`. Jensen–Shannon: near equality the divergence (in nats, equal weights) is an eighth of the
PSI, so 8·JSD·nm/(n+m) is about non-central χ² as well; its square root to base 2 is the distance in [0, 1].
Kolmogorov–Smirnov: by the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990) the
empirical distribution of n values is farther than √(ln(2/a)/2n) from the true one with a probability of at
most a; both sides get half of alpha. It holds for any n and any distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, rel_entr

from monitoring.domain.arrays import FloatArray
from monitoring.domain.drift.divergences import kolmogorov_smirnov
from monitoring.domain.drift.psi import assess as assess_psi
from monitoring.domain.drift.psi import least_divergence, smoothed


@dataclass(frozen=True, slots=True)
class Bounded:
    """`value` measured over `bins`, `lower` the least true value at 1 − alpha, `p_value` of none at all."""

    value: float
    lower: float
    p_value: float
    bins: int


def psi(counts: FloatArray, reference: FloatArray, alpha: float) -> Bounded:
    """Population stability index; both sides must hold something."""
    found = assess_psi(counts, reference, alpha)
    return Bounded(found.value, found.lower, found.p_value, found.bins)


def jensen_shannon(counts: FloatArray, reference: FloatArray, alpha: float) -> Bounded:
    """Jensen–Shannon distance to base 2 over smoothed shares; both sides must hold something."""
    used = (counts + reference) > 0
    counts, reference = counts[used], reference[used]
    n, m, bins = float(counts.sum()), float(reference.sum()), len(counts)
    if bins < 2:
        return Bounded(0.0, 0.0, 1.0, bins)
    p, q = smoothed(counts), smoothed(reference)
    nats = float((rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum()) / 2
    size = n * m / (n + m)
    least = least_divergence(8 * nats, size, bins - 1, alpha) / 8
    return Bounded(_distance(nats), _distance(least), float(chdtrc(bins - 1, 8 * nats * size)), bins)


def kolmogorov(counts: FloatArray, reference: FloatArray, alpha: float) -> Bounded:
    """Largest distance of the cumulative shares at the edges; bins must be ordered."""
    found = kolmogorov_smirnov(counts, reference)
    noise = sum(math.sqrt(math.log(4 / alpha) / (2 * float(side.sum()))) for side in (counts, reference))
    return Bounded(found.statistic, max(0.0, found.statistic - noise), found.p_value, len(counts))


def _distance(nats: float) -> float:
    return float(np.sqrt(max(0.0, nats) / np.log(2)))


STATISTICS: Mapping[str, Callable[[FloatArray, FloatArray, float], Bounded]] = {
    "psi": psi,
    "js": jensen_shannon,
    "ks": kolmogorov,
}
