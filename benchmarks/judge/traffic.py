"""Simulated requests of two versions, counted as a server would count them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram

SECONDS = np.array([
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10,
])  # fmt: skip
DECILES = 10


@dataclass(frozen=True)
class Behaviour:
    """What a version does: share of failing requests, median seconds and spread of lognormal latencies,
    and how far its outputs moved (in standard deviations of the reference)."""

    error_rate: float = 0.005
    median: float = 0.006
    spread: float = 0.5
    moved: float = 0.0


@dataclass
class Counts:
    """Cumulative counts of one version, step after step: bad and all requests, latency bins, output bins."""

    bad: FloatArray
    total: FloatArray
    latency: FloatArray
    output: FloatArray

    def histogram(self, step: int) -> Histogram:
        return Histogram(SECONDS, self.latency[step])


def serve(rng: np.random.Generator, behaviour: Behaviour, requests: FloatArray) -> Counts:
    """Counts after each step of serving `requests` (T,) requests."""
    probabilities = _latency_bins(behaviour)
    outputs = output_bins(behaviour.moved)
    return Counts(
        bad=np.cumsum(rng.binomial(requests, behaviour.error_rate)),
        total=np.cumsum(requests),
        latency=np.cumsum([rng.multinomial(n, probabilities) for n in requests], axis=0).astype(float),
        output=np.cumsum([rng.multinomial(n, outputs) for n in requests], axis=0).astype(float),
    )


def _latency_bins(behaviour: Behaviour) -> FloatArray:
    from scipy.stats import norm

    below = norm.cdf(np.log(SECONDS / behaviour.median) / behaviour.spread)
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def output_bins(moved: float) -> FloatArray:
    """Shares of the deciles of a normal population, of one that moved by so many deviations."""
    from scipy.stats import norm

    edges = norm.ppf(np.arange(1, DECILES) / DECILES)
    return np.diff(np.concatenate([[0.0], norm.cdf(edges - moved), [1.0]]))
