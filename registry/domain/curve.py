"""A metric over its training steps as the lines of a chart."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.domain.axis import Tick, nice_step

# About the width of a page, so that texts keep their size on it.
WIDTH, HEIGHT = 1140.0, 320.0
LEFT, TOP, RIGHT, BOTTOM = 64.0, 10.0, 1130.0, 280.0
# A column of the drawing shows its lowest and its highest point, so that thinning hides no spike.
_COLUMNS = 530
# Below this a span of values cannot be divided into steps any more.
_LEAST, _MOST = 1e-300, sys.float_info.max
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """One version's curve: `role` is the name of its colour, `path` is SVG's."""

    role: str
    label: str
    path: str
    summary: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The lines of a chart of `WIDTH` x `HEIGHT`, with its axes."""

    lines: tuple[Line, ...]
    steps: tuple[Tick, ...]
    values: tuple[Tick, ...]


def curve(lines: Mapping[tuple[str, str], Points]) -> Curve:
    """The chart of `{(role, label): [(step, value)…]}`, by rising step; a line without points is left out."""
    drawn = {name: points for name, points in lines.items() if points}
    every = [point for points in drawn.values() for point in points]
    if not every:
        return Curve((), (), ())
    first, last = min(step for step, _ in every), max(step for step, _ in every)
    low, high = min(value for _, value in every), max(value for _, value in every)
    if high / 2 - low / 2 < _LEAST:
        room = abs(high) / 2 if abs(high) / 2 > _LEAST else 0.5
        low, high = max(low - room, -_MOST), min(high + room, _MOST)

    def across(step: float) -> float:
        return LEFT + (step - first) / ((last - first) or 1) * (RIGHT - LEFT)

    def down(value: float) -> float:
        # Halves first: the span of two finite numbers may be infinite.
        return BOTTOM - (value / 2 - low / 2) / (high / 2 - low / 2) * (BOTTOM - TOP)

    return Curve(
        tuple(
            Line(role, label, _path([(across(s), down(v)) for s, v in _thinned(points)]), summary(points))
            for (role, label), points in drawn.items()
        ),
        tuple(
            Tick(round(across(step), 1), f"{step:,}") for step in sorted({first, (first + last) // 2, last})
        ),
        tuple(Tick(round(down(value), 1), f"{value:.4g}") for value in _ticks(low, high)),
    )


def summary(points: Points) -> str:
    """What the line says in words."""
    low, high = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
    if len(points) == 1:
        return f"{points[0][1]:.5g} at step {points[0][0]:,}"
    return (
        f"{len(points):,} points, steps {points[0][0]:,} to {points[-1][0]:,}: lowest {low[1]:.5g} at step "
        f"{low[0]:,}, highest {high[1]:.5g} at step {high[0]:,}, last {points[-1][1]:.5g}"
    )


def _thinned(points: Points) -> Points:
    """At most two points of each column, in their order."""
    if len(points) <= 2 * _COLUMNS:
        return points
    each = len(points) / _COLUMNS
    kept: list[tuple[int, float]] = []
    for column in range(_COLUMNS):
        here = range(int(column * each), int((column + 1) * each))
        low, high = (pick(here, key=lambda at: points[at][1]) for pick in (min, max))
        kept += [points[at] for at in sorted({low, high})]
    return kept


def _path(places: Sequence[tuple[float, float]]) -> str:
    moves = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    # A single point has no length; a round cap makes it a dot.
    return f"M{moves}" + ("h0" if len(places) == 1 else "")


def _ticks(low: float, high: float) -> list[float]:
    """Round values inside [low, high], about four."""
    step = nice_step(high / 4 - low / 4)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
