"""A chart as a value: every position, path and text, ready for a template to write as SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.domain.axis import Tick


@dataclass(frozen=True, slots=True)
class Box:
    """The plot area inside the chart, in the chart's coordinates (y grows downwards)."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


# About the width of a card, so that texts keep their size on the page.
WIDTH, HEIGHT = 440.0, 236.0
PLOT = Box(left=44.0, top=42.0, right=430.0, bottom=196.0)


@dataclass(frozen=True, slots=True)
class Line:
    role: str
    path: str


@dataclass(frozen=True, slots=True)
class Bar:
    role: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A vertical mark at `x` with its text at (`text_x`, `text_y`)."""

    x: float
    text_x: float
    text_y: float
    anchor: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A series' name and role, and its latest or summary value as text."""

    role: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `hover` is what the page's script reads: x positions, their texts, and per series the
    values as text. `empty` says why there is nothing to see, and is "" otherwise."""

    id: str
    title: str
    unit: str
    x_label: str
    description: str
    caption: str = ""
    width: float = WIDTH
    height: float = HEIGHT
    plot: Box = PLOT
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    marks: tuple[Rule, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    hover: Mapping[str, Any] = field(default_factory=dict)
    empty: str = ""

    @property
    def hover_json(self) -> str:
        return json.dumps(self.hover, separators=(",", ":"), ensure_ascii=False)
