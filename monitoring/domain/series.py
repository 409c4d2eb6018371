"""Counters and their increases: what a stored sample means once a process has restarted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram

# A counter seen less often than this has no last value worth comparing with (Prometheus calls it stale).
LOOKBACK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values at Unix times, both of shape (T,); NaN where nothing was measured."""

    times: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class HistogramSeries:
    """One histogram per step: `times` of shape (T,), `edges` (B−1,), `counts` (T, B)."""

    times: FloatArray
    edges: FloatArray
    counts: FloatArray

    def at(self, index: int) -> Histogram:
        return Histogram(self.edges, self.counts[index])

    def quantiles(self, quantile: float) -> Series:
        """The quantile of each step; NaN where a step is empty."""
        values = [self.at(index).quantile(quantile) for index in range(len(self.times))]
        return Series(self.times, np.array(values, dtype=np.float64))


def increments(values: FloatArray) -> FloatArray:
    """What a counter gained between neighbouring samples, shape (T−1, …) from (T, …).

    A counter only falls when its process restarted from zero, so after a fall the whole new value was gained.
    """
    steps = np.diff(values, axis=0)
    gained: FloatArray = np.where(steps < 0, values[1:], steps)
    return gained


def increase(
    times: FloatArray, values: FloatArray, start: float, end: float, *, born: bool = False
) -> float | None:
    """How much a counter grew over (start, end], resets included and nothing extrapolated.

    The last sample at or before `start` (at most `LOOKBACK_SECONDS` older) is the first value, so no
    event between it and the first sample inside is lost. Without one the first sample inside is the first
    value, unless the counter was `born` there: then it started from zero. NaN samples are skipped.
    Returns None without any sample in the window.
    """
    known = ~np.isnan(values)
    times, values = times[known], values[known]
    inside = (times > start) & (times <= end)
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    last = len(times) - 1 - int(np.argmax(inside[::-1]))
    if first > 0 and times[first - 1] >= start - LOOKBACK_SECONDS:
        return float(increments(values[first - 1 : last + 1]).sum())
    origin = float(values[first]) if born and first == 0 else 0.0
    return origin + float(increments(values[first : last + 1]).sum())


def extrapolated_increase(times: FloatArray, values: FloatArray, start: float, end: float) -> float | None:
    """`increase()` as Prometheus computes it: (start, end], two samples or more, stretched to the window.

    The gain between the first and the last sample inside is multiplied by (covered + both margins)/covered.
    A margin is the distance to the window's edge, or half the mean sample distance where the edge is farther
    than 1.1 of it, and never reaches past the moment the counter would have been zero.
    Source: `extrapolatedRate` in Prometheus' promql/functions.go (behaviour, 2.x).
    """
    inside = (times > start) & (times <= end) & ~np.isnan(values)
    times, values = times[inside], values[inside]
    if len(times) < 2:
        return None
    gained = float(increments(values).sum())
    covered = float(times[-1] - times[0])
    spacing = covered / (len(times) - 1)
    before, after = float(times[0] - start), float(end - times[-1])
    if gained > 0 and values[0] >= 0:
        before = min(before, covered * float(values[0]) / gained)
    threshold = 1.1 * spacing
    margins = sum(gap if gap < threshold else spacing / 2 for gap in (before, after))
    return gained * (covered + margins) / covered
