"""Counters and their increases: what a stored sample means once a process has restarted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitoring.domain.arrays import BoolArray, FloatArray
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


def spread(times: FloatArray, totals: FloatArray, moments: FloatArray) -> FloatArray:
    """Running totals at `moments`, shape (M, S), from samples of shape (T, S): each gain lies evenly between
    its two samples, however far apart they are. 0 before the first sample, the last total after the last.
    """
    upto = np.searchsorted(times, moments, side="right")
    left, right = np.maximum(upto - 1, 0), np.minimum(upto, len(times) - 1)
    gap = times[right] - times[left]
    share = np.divide(moments - times[left], gap, out=np.zeros(len(moments)), where=gap > 0)
    found: FloatArray = totals[left] + share[:, None] * (totals[right] - totals[left])
    found[upto == 0] = 0.0
    return found


def measured(times: FloatArray, moments: FloatArray, breaks: FloatArray) -> BoolArray:
    """Which steps between neighbouring `moments` are known, shape (M−1,).

    Those with a sample, and those between two samples at most `LOOKBACK_SECONDS` apart without a break.
    """
    upto = np.searchsorted(times, moments, side="right")
    known: BoolArray = np.diff(upto) > 0
    if len(times):
        known |= bridged(times, moments[:-1], breaks)
    return known


def bridged(times: FloatArray, moments: FloatArray, breaks: FloatArray) -> BoolArray:
    """Whether each moment lies between two samples at most `LOOKBACK_SECONDS` apart, without a break."""
    upto = np.searchsorted(times, moments, side="right")
    left, right = times[np.maximum(upto - 1, 0)], times[np.minimum(upto, len(times) - 1)]
    whole = np.searchsorted(breaks, left) == np.searchsorted(breaks, right)
    found: BoolArray = (upto > 0) & (upto < len(times)) & (right - left <= LOOKBACK_SECONDS) & whole
    return found


def stretches(times: FloatArray, end: float) -> bool:
    """Whether `end` is past the last sample, and not farther than the next sample would be.

    Then the last gain goes on until `end`: the newest step, which no sample closes yet, would otherwise hold
    a part of its gain only.
    """
    gap = float(times[-1] - times[-2]) if len(times) > 1 else 0.0
    return 0 < end - float(times[-1]) <= 1.1 * gap <= 1.1 * LOOKBACK_SECONDS if len(times) else False


def stretched(times: FloatArray, totals: FloatArray, end: float) -> tuple[FloatArray, FloatArray]:
    """The samples (T,) and (T, S) with one more at `end`, where the last two would lead."""
    share = (end - times[-1]) / (times[-1] - times[-2])
    newest = totals[-1:] + share * (totals[-1:] - totals[-2:-1])
    return np.append(times, end), np.concatenate([totals, newest])


def spread_increase(times: FloatArray, values: FloatArray, start: float, end: float) -> float | None:
    """How much a counter grew over (start, end], a part of a series: gains are spread between their samples.

    None where the step is not known (`measured`). NaN samples are skipped.
    """
    known = ~np.isnan(values) & (times >= start - LOOKBACK_SECONDS) & (times <= end + LOOKBACK_SECONDS)
    times, values = times[known], values[known]
    if not len(times):
        return None
    moments, totals = np.array([start, end]), np.cumsum(np.append(0.0, increments(values)))[:, None]
    if stretches(times, end):
        times, totals = stretched(times, totals, end)
    if not measured(times, moments, np.array([])).any():
        return None
    return float(np.diff(spread(times, totals, moments)[:, 0])[0])


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
