"""Charts over time: one line per version, marks where the rollout moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.domain.charts.chart import PLOT, Box, Chart, LegendEntry, Line, Rule
from monitoring.domain.charts.scales import (
    Scale,
    clock,
    plain,
    stacked_rows,
    text_width,
    time_ticks,
    value_ticks,
)
from monitoring.domain.series import Series
from monitoring.domain.window import Window
from registry.domain.axis import Tick

MARK_ROWS = 2
MARK_ROW_HEIGHT = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A version's series with its role (`stable`, `candidate`, `baseline`) and the name in the legend."""

    role: str
    label: str
    series: Series


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at Unix time `at`; `kind` is `step`, `rollback` or `promote`."""

    at: float
    label: str
    kind: str


def time_chart(
    *,
    id: str,
    title: str,
    unit: str,
    curves: Sequence[Curve],
    window: Window,
    moments: Sequence[Moment] = (),
    text: Callable[[float], str],
    caption: str = "",
) -> Chart:
    """Lines over the window; `text` writes a value with its unit for legend and hover."""
    start, end = window.start.timestamp(), window.end.timestamp()
    x = Scale(start, end, PLOT.left, PLOT.right)
    highest = max((_highest(curve.series) for curve in curves), default=0.0)
    ticks = value_ticks(highest)
    y = Scale(ticks[0], ticks[-1], PLOT.bottom, PLOT.top)
    measured = any(not np.isnan(curve.series.values).all() for curve in curves)
    return Chart(
        id=id,
        title=title,
        unit=unit,
        x_label="time (UTC)",
        description=_description(title, window, curves, text),
        caption=caption,
        x_ticks=tuple(Tick(x(at), label) for at, label in time_ticks(start, end)),
        y_ticks=tuple(Tick(y(value), plain(value)) for value in ticks),
        lines=tuple(Line(curve.role, line_path(curve.series, x, y)) for curve in curves),
        marks=rules([moment for moment in moments if start <= moment.at <= end], x),
        legend=tuple(LegendEntry(curve.role, curve.label, _last(curve.series, text)) for curve in curves),
        hover=_hover(curves, x, y, text),
        empty="" if measured else "No measurements in this window yet.",
    )


def line_path(series: Series, x: Scale, y: Scale) -> str:
    """SVG path data: a polyline that breaks where nothing was measured; a lone point is a dot."""
    parts: list[str] = []
    known = ~np.isnan(series.values)
    for index, (at, value) in enumerate(zip(series.times, series.values, strict=True)):
        if known[index]:
            joined = index > 0 and known[index - 1]
            alone = not joined and (index + 1 == len(known) or not known[index + 1])
            parts.append(f"{'L' if joined else 'M'}{x(at):g} {y(value):g}{'h0' if alone else ''}")
    return "".join(parts)


def rules(moments: Sequence[Moment], x: Scale, plot: Box = PLOT) -> tuple[Rule, ...]:
    """Vertical marks, the ends of rollouts first, then the newest; texts that would collide go to the next
    row above the plot, and a mark without room for its text has none.
    """
    ordered = sorted(moments, key=lambda moment: (moment.kind == "step", -moment.at))
    flipped = [x(moment.at) > plot.right - text_width(moment.label) for moment in ordered]
    spans = [_span(x(moment.at), moment.label, left) for moment, left in zip(ordered, flipped, strict=True)]
    rows = stacked_rows(spans, MARK_ROWS)
    found = [
        Rule(
            x=x(moment.at),
            text_x=x(moment.at) + (-3 if left else 3),
            text_y=plot.top - 4 - (row or 0) * MARK_ROW_HEIGHT,
            anchor="end" if left else "start",
            label="" if row is None else moment.label,
            kind=moment.kind,
        )
        for moment, left, row in zip(ordered, flipped, rows, strict=True)
    ]
    return tuple(sorted(found, key=lambda rule: rule.x))


def _span(position: float, label: str, to_the_left: bool) -> tuple[float, float]:
    width = text_width(label)
    return (position - width, position) if to_the_left else (position, position + width)


def _highest(series: Series) -> float:
    known = series.values[~np.isnan(series.values)]
    return float(known.max()) if len(known) else 0.0


def _last(series: Series, text: Callable[[float], str]) -> str:
    known = series.values[~np.isnan(series.values)]
    return text(float(known[-1])) if len(known) else "no data"


def _description(title: str, window: Window, curves: Sequence[Curve], text: Callable[[float], str]) -> str:
    span = f"{clock(window.start.timestamp())} to {clock(window.end.timestamp())} UTC"
    latest = "; ".join(f"{curve.label} {_last(curve.series, text)}" for curve in curves)
    return f"{title}, {span}. Latest: {latest or 'nothing measured'}."


def _hover(
    curves: Sequence[Curve], x: Scale, y: Scale, text: Callable[[float], str]
) -> dict[str, list[object]]:
    if not curves:
        return {}
    times = curves[0].series.times
    return {
        "x": [x(at) for at in times],
        "label": [clock(at) for at in times],
        "series": [
            {
                "role": curve.role,
                "label": curve.label,
                "y": [None if math.isnan(value) else y(value) for value in curve.series.values],
                "text": ["–" if math.isnan(value) else text(value) for value in curve.series.values],
            }
            for curve in curves
        ],
    }
