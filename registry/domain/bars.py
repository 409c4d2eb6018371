"""A profile item as the rectangles of a small bar chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from registry.domain.profile import DECILES

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
    chart = _discrete if len(item["edges"]) < len(DECILES) else _density
    middle = next(
        (
            e
            for e, n in zip(item["edges"], accumulate(item["counts"]), strict=False)
            if 2 * n >= sum(item["counts"])
        ),
        item["max"],
    )
    low, high = number(item["min"]), number(item["max"])
    summary = f"{sum(item['counts'])} values from {low} to {high}, median about {number(middle)}"
    return BarChart(item["name"], "numeric", chart(item), low, high, summary)


def _discrete(item: Mapping[str, Any]) -> tuple[Bar, ...]:
    """Ties folded the deciles: the column takes few values, so each bin is drawn as a value."""
    edges = [*item["edges"], item["max"]]
    held = [(edge, count) for edge, count in zip(edges, item["counts"], strict=True) if count]
    return _columns([(f"up to {number(edge)}: {count}", count) for edge, count in held])


def _density(item: Mapping[str, Any]) -> tuple[Bar, ...]:
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
    return tuple(
        _bar(start / total, wide / total, density / peak, label) for start, wide, density, label in cells
    )


def _categorical(item: Mapping[str, Any]) -> BarChart:
    categories, counts = item["categories"], item["counts"]
    bars = _columns([(f"{category}: {n}", n) for category, n in zip(categories, counts, strict=True)])
    parts = ", ".join(f"{c} {n}" for c, n in list(zip(categories, counts, strict=True))[:10])
    return BarChart(item["name"], "categorical", bars, categories[0], categories[-1], parts)


def _columns(cells: Sequence[tuple[str, int]]) -> tuple[Bar, ...]:
    """Columns of equal width with gaps, as high as their counts."""
    peak, each = max((count for _, count in cells), default=0) or 1, 1 / max(len(cells), 1)
    return tuple(
        _bar((i + 0.1) * each, 0.8 * each, count / peak, label) for i, (label, count) in enumerate(cells)
    )


def _bar(x: float, width: float, height: float, label: str) -> Bar:
    tall = max(height * HEIGHT, 0.5)
    return Bar(round(x * WIDTH, 2), round(HEIGHT - tall, 2), round(width * WIDTH, 2), round(tall, 2), label)


def _cell(left: float, right: float, count: int) -> str:
    return f"{number(left)} to {number(right)}: {count}"
