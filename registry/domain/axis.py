"""Axes of charts: where their ticks go."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """A text at `position` along its axis, in the chart's coordinates."""

    position: float
    label: str


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 · 10^k that is not below `least` (> 0)."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))
