"""Population stability index between two sets of counts over the same bins, and what chance makes of it.

Smoothing p = (c + ½)/(n + B/2) on both sides keeps empty bins finite. Without drift PSI·nm/(n+m) is about
χ² with B−1 degrees of freedom (B bins that are not empty on both sides); with a true divergence ψ about
non-central χ² with non-centrality ψ·nm/(n+m) (Yurdakul & Naranjo 2020, "Statistical properties of the
population stability index", for the former). So E[PSI] ≈ (B−1)(1/n + 1/m) where nothing drifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, chdtri, chndtr, chndtrinc

from monitoring.domain.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Psi:
    """`value` between samples of size n and m over `bins`; `noise` is the most that chance alone explains at
    1 − alpha, `lower` the least true divergence at 1 − alpha, `p_value` of no drift."""

    value: float
    n: float
    m: float
    bins: int
    noise: float
    lower: float
    p_value: float


def smoothed(counts: FloatArray) -> FloatArray:
    """Shares (c + ½)/(n + B/2) of shape (B,); they sum to 1."""
    shares: FloatArray = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares


def psi(counts: FloatArray, reference: FloatArray) -> float:
    """Σ (p−q)·ln(p/q) over smoothed shares; symmetric, 0 for equal shares."""
    p, q = smoothed(counts), smoothed(reference)
    return float(((p - q) * np.log(p / q)).sum())


def assess(counts: FloatArray, reference: FloatArray, alpha: float) -> Psi:
    """PSI with its noise bound and lower confidence bound; both samples must hold something."""
    used = (counts + reference) > 0
    counts, reference = counts[used], reference[used]
    n, m, bins = float(counts.sum()), float(reference.sum()), len(counts)
    if n <= 0 or m <= 0:
        raise ValueError("PSI needs observations on both sides.")
    value = psi(counts, reference)
    if bins < 2:
        return Psi(value, n, m, bins, 0.0, 0.0, 1.0)
    size = n * m / (n + m)
    freedom = bins - 1
    p_value = float(chdtrc(freedom, value * size))
    return Psi(
        value,
        n,
        m,
        bins,
        float(chdtri(freedom, alpha)) / size,
        least_divergence(value, size, freedom, alpha),
        p_value,
    )


def least_divergence(value: float, size: float, freedom: int, alpha: float) -> float:
    """The true divergence at which a PSI this large would be an event of probability alpha."""
    observed = value * size
    if chndtr(observed, freedom, 0.0) <= 1 - alpha:
        return 0.0
    return float(chndtrinc(observed, freedom, 1 - alpha)) / size
