"""A profile item as the rectangles of a small bar chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 160.0, 36.0
# A tie has no width of its own; it is drawn, and its density taken, over this part of the range.
_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle in user units of a `WIDTH` x `HEIGHT` drawing, origin at the top left, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """One column of the profile: bars, and text that replaces the picture."""

    name: str
    kind: str
    bars: tuple[Bar, ...]
    low: str
    high: str
    summary: str


def bar_chart(item: Mapping[str, Any]) -> BarChart:
    """The chart of one profile item: density over the value axis for numbers, counts for categories."""
    return _numeric(item) if item["kind"] == "numeric" else _categorical(item)


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def _numeric(item: Mapping[str, Any]) -> BarChart:
    low, high, edges, counts = item["min"], item["max"], item["edges"], item["counts"]
    span = (high - low) or abs(high) or 1.0
    bounds = [min(low, edges[0]), *edges, max(high, edges[-1])]
    cells = []
    for count, left, right in zip(counts, bounds, bounds[1:], strict=False):
        if count:
            wide = max(right - left, _LEAST * span)
            cells.append((max(0.0, right - wide - low), wide, count / wide, _cell(left, right, count)))
    total = max([span, *(start + wide for start, wide, _, _ in cells)])
    peak = max((density for _, _, density, _ in cells), default=1.0)
    bars = tuple(
        _bar(start / total, wide / total, density / peak, label) for start, wide, density, label in cells
    )
    middle = next((e for e, n in zip(edges, _running(counts), strict=False) if 2 * n >= sum(counts)), high)
    summary = f"{sum(counts)} values from {number(low)} to {number(high)}, median about {number(middle)}"
    return BarChart(item["name"], "numeric", bars, number(low), number(high), summary)


def _categorical(item: Mapping[str, Any]) -> BarChart:
    categories, counts = item["categories"], item["counts"]
    peak, each = max(counts, default=1) or 1, 1 / max(len(categories), 1)
    bars = tuple(
        _bar(i * each + 0.1 * each, 0.8 * each, count / peak, f"{category}: {count}")
        for i, (category, count) in enumerate(zip(categories, counts, strict=True))
    )
    parts = ", ".join(f"{c} {n}" for c, n in list(zip(categories, counts, strict=True))[:10])
    return BarChart(item["name"], "categorical", bars, categories[0], categories[-1], parts)


def _bar(x: float, width: float, height: float, label: str) -> Bar:
    tall = max(height * HEIGHT, 0.5)
    return Bar(round(x * WIDTH, 2), round(HEIGHT - tall, 2), round(width * WIDTH, 2), round(tall, 2), label)


def _cell(left: float, right: float, count: int) -> str:
    return f"{number(left)} to {number(right)}: {count}"


def _running(counts: list[int]) -> list[int]:
    totals, total = [], 0
    for count in counts:
        total += count
        totals.append(total)
    return totals
