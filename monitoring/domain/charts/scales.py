"""Axes: where ticks go and what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.domain.axis import nice_step

TIME_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] of the data linearly onto [start, end] of the chart."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def value_ticks(highest: float, most: int = 4) -> list[float]:
    """Round values from 0 to the first that is at least `highest`; [0, 1] when there is nothing above 0."""
    if not highest > 0:
        return [0.0, 1.0]
    step = nice_step(highest / most)
    return [round(step * index, 12) for index in range(math.ceil(highest / step - 1e-9) + 1)]


def plain(value: float) -> str:
    """A number without needless digits: 1500 → '1,500', 0.25 → '0.25'."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.2g}"


def time_ticks(start: float, end: float, most: int = 5) -> list[tuple[float, str]]:
    """Unix times at round moments (UTC) inside [start, end], with their texts."""
    span = end - start
    step = next((step for step in TIME_STEPS if span / step <= most), math.ceil(span / most / 86400) * 86400)
    first = math.ceil(start / step) * step
    count = int((end - first) // step) + 1
    return [(first + index * step, clock(first + index * step, step)) for index in range(count)]


def clock(at: float, step: float = 1) -> str:
    """'12:05:30', without seconds for steps of whole minutes, with the day for steps of days."""
    moment = datetime.fromtimestamp(at, UTC)
    if step >= 86400:
        return moment.strftime("%d %b")
    if step >= 60:
        return moment.strftime("%H:%M")
    return moment.strftime("%H:%M:%S")


def chart_step(seconds: float, points: int = 60) -> float:
    """The distance of points for a window: a round number of seconds, at least 2."""
    return next((step for step in TIME_STEPS if step >= 2 and seconds / step <= points), TIME_STEPS[-1])


def text_width(text: str) -> float:
    """About how wide a text of 11 px is, with a little space beside it, in units of the chart."""
    return 6.3 * len(text) + 5


def stacked_rows(spans: Sequence[tuple[float, float]], rows: int) -> list[int | None]:
    """A row for each span of a text, in the order of their importance, so that none overlaps in its row.

    None for a text that no row has room for.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(rows)]
    found: list[int | None] = []
    for left, right in spans:
        free = (row for row in range(rows) if all(right <= low or left >= high for low, high in taken[row]))
        found.append(next(free, None))
        if found[-1] is not None:
            taken[found[-1]].append((left, right))
    return found
