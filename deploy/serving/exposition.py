"""Prometheus text format 0.0.4, written from numbers that are kept elsewhere.

A scrape shares the event loop with predictions, so everything constant about a series (names, labels,
`le` values) is put together once and a scrape only joins it with the present numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Family = tuple[str, str, str, str]
"""Name, kind and help text of a metric family, and its samples in text format."""

PENDING = 4096
"""Observations that wait to be counted together."""

# Seconds, shared by everything in Slipway that measures time, so that series can be compared.
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03,
    0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as they stand between the braces, values escaped as the format asks."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def header(name: str, kind: str, text: str) -> str:
    """The HELP and TYPE lines of a family."""
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


class Sample:
    """One counter or gauge series."""

    __slots__ = ("_prefix", "value")

    def __init__(self, name: str, labels: Mapping[str, str], value: float = 0) -> None:
        self._prefix = f"{name}{{{labels_text(labels)}}} " if labels else f"{name} "
        self.value = value

    def text(self) -> str:
        return f"{self._prefix}{self.value}\n"


class HistogramSeries:
    """The text of one histogram: `text(counts, total)` takes counts per bin, not cumulated.

    Bins are `value <= le`: (-inf, e0], (e0, e1], …, (ek, +inf), so there is one more than edges.
    """

    __slots__ = ("_prefixes", "_sum", "_count")

    def __init__(self, name: str, labels: Mapping[str, str], edges: Sequence[float]) -> None:
        marks = [repr(float(edge)) for edge in edges] + ["+Inf"]
        inner = labels_text(labels)
        comma = "," if inner else ""
        self._prefixes = [f'{name}_bucket{{{inner}{comma}le="{mark}"}} ' for mark in marks]
        self._sum = f"{name}_sum{{{inner}}} "
        self._count = f"{name}_count{{{inner}}} "

    def text(self, counts: Iterable[int], total: float) -> str:
        cumulative = list(accumulate(counts))
        lines = [prefix + str(count) for prefix, count in zip(self._prefixes, cumulative, strict=True)]
        lines.append(f"{self._sum}{float(total)!r}")
        lines.append(f"{self._count}{cumulative[-1]}\n")
        return "\n".join(lines)


class Histogram:
    """A histogram that is observed one value at a time; values are put into bins many at a time."""

    __slots__ = ("_edges", "_series", "_pending", "counts", "total")

    def __init__(self, name: str, labels: Mapping[str, str], edges: Sequence[float] = SECONDS) -> None:
        self._edges = tuple(edges)
        self._series = HistogramSeries(name, labels, edges)
        self._pending: list[float] = []
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, once somebody looks or enough of them wait."""
        self._pending.append(value)
        if len(self._pending) >= PENDING:
            self._count()

    def observe_many(self, value: float, times: int) -> None:
        """Count one value `times` times."""
        self.counts[bisect_left(self._edges, value)] += times
        self.total += value * times

    def _count(self) -> None:
        bins = np.searchsorted(self._edges, self._pending, side="left")
        gained = np.bincount(bins, minlength=len(self.counts)).tolist()
        self.counts = [count + more for count, more in zip(self.counts, gained, strict=True)]
        self.total += math.fsum(self._pending)
        self._pending.clear()

    def text(self) -> str:
        if self._pending:
            self._count()
        return self._series.text(self.counts, self.total)
