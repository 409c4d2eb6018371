"""Binned counts as a value: merging, quantiles and what Prometheus' cumulative buckets mean."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Self

import numpy as np

from monitoring.domain.arrays import FloatArray, IndexArray, floats


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of the bins (−inf, e0], (e0, e1], …, (ek, +inf).

    `edges` has shape (B−1,), finite and strictly increasing, in the unit of the measured value;
    `counts` has shape (B,), not negative, and may be fractional (Prometheus extrapolates).
    """

    edges: FloatArray
    counts: FloatArray

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(
                f"{len(self.edges)} edges make {len(self.edges) + 1} bins, not {len(self.counts)}."
            )

    @classmethod
    def of(cls, edges: Iterable[float], counts: Iterable[float]) -> Self:
        """Build from any iterables, checking order and signs; raises ValueError."""
        edge_array, count_array = floats(edges), floats(counts)
        if not np.isfinite(edge_array).all() or (np.diff(edge_array) <= 0).any():
            raise ValueError("Histogram edges must be finite and strictly increasing.")
        if not (count_array >= 0).all():
            raise ValueError("Histogram counts must be numbers that are not negative.")
        return cls(edge_array, count_array)

    @classmethod
    def from_cumulative(cls, buckets: Mapping[float, float]) -> Self | None:
        """From Prometheus buckets {le: count of values ≤ le}, `inf` included, in any order.

        Sums of extrapolated series can fall by a hair from one bucket to the next: the counts are made
        non-decreasing first, as `histogram_quantile` does. Returns None without a +Inf bucket.
        """
        edges = np.array(sorted(buckets), dtype=np.float64)
        if not len(edges) or not np.isinf(edges[-1]):
            return None
        cumulative = np.maximum.accumulate(np.array([buckets[edge] for edge in edges], dtype=np.float64))
        return cls(edges[:-1], np.diff(cumulative, prepend=0.0))

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    def merged(self, edges: FloatArray) -> Histogram:
        """The same values over fewer bins; `edges` must be a subset of this histogram's edges."""
        if len(edges) == len(self.edges):
            return self
        return Histogram(edges, np.add.reduceat(self.counts, bin_starts(self.edges, edges)))

    def spread_over(self, edges: FloatArray, low: float, high: float) -> Histogram:
        """An estimate over other bins: values are spread evenly inside each bin, whose open ends stop at
        `low` and `high`, the smallest and largest value observed."""
        own = np.concatenate(([min(low, self.edges[0])], self.edges, [max(high, self.edges[-1])]))
        cumulative = np.concatenate(([0.0], np.cumsum(self.counts)))
        below = np.interp(edges, own, cumulative)
        return Histogram(edges, np.diff(below, prepend=0.0, append=self.total))

    def __add__(self, other: Histogram) -> Histogram:
        """Both populations together, on the edges they have in common."""
        left, right = on_common_edges(self, other)
        return Histogram(left.edges, left.counts + right.counts)

    def quantile(self, quantile: float) -> float:
        """The value below which a share `quantile` in [0, 1] lies, linear inside a bin; NaN when empty.

        As `histogram_quantile`: the first bin starts at 0 when its edge is positive (else the edge itself is
        answered) and the last bin answers its lower edge, which makes the result a lower bound there.
        """
        cumulative = _cumulative(self)
        total = cumulative[-1]
        if total <= 0 or not len(self.edges):
            return float("nan")
        rank = quantile * total
        index = min(bisect_left(cumulative, rank), len(cumulative) - 1)
        if index == len(self.edges):
            return float(self.edges[-1])
        if index == 0 and self.edges[0] <= 0:
            return float(self.edges[0])
        lower = float(self.edges[index - 1]) if index else 0.0
        before = cumulative[index - 1] if index else 0.0
        count = float(self.counts[index])
        share = (rank - before) / count if count > 0 else 0.0
        return lower + (float(self.edges[index]) - lower) * share

    def to_dict(self) -> dict[str, Any]:
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist()}


@lru_cache(maxsize=1024)
def _cumulative(histogram: Histogram) -> list[float]:
    """Counts of the values up to each edge; kept, since a gate asks one histogram for several quantiles.

    Histograms are compared by identity and never change.
    """
    found: list[float] = np.cumsum(histogram.counts).tolist()
    return found


def bin_starts(own: FloatArray, edges: FloatArray) -> IndexArray:
    """Where each bin over `edges`, a subset of `own`, begins among the bins over `own`."""
    return np.concatenate(([0], np.searchsorted(own, edges) + 1))


def common_edges(histograms: Iterable[Histogram]) -> FloatArray:
    """The edges that every histogram has."""
    return reduce(_shared, (histogram.edges for histogram in histograms))


def _shared(left: FloatArray, right: FloatArray) -> FloatArray:
    # The usual case, and a tenth of the cost of an intersection.
    if left.shape == right.shape and (left == right).all():
        return left
    return np.intersect1d(left, right)


def on_common_edges(left: Histogram, right: Histogram) -> tuple[Histogram, Histogram]:
    """Both histograms over the bins they share; one bin only when they share no edge."""
    if left.edges.shape == right.edges.shape and (left.edges == right.edges).all():
        return left, right
    edges = np.intersect1d(left.edges, right.edges)
    return left.merged(edges), right.merged(edges)


def total_of(histograms: Iterable[Histogram]) -> Histogram:
    """All populations together, on the edges common to all; raises ValueError for none."""
    items = list(histograms)
    if not items:
        raise ValueError("There is no histogram to add.")
    edges = common_edges(items)
    return Histogram(edges, np.sum([item.merged(edges).counts for item in items], axis=0))
