"""The charts of drift: how each column's PSI went, and how its values are distributed now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.charts import Chart, Curve, Population, bar_chart, time_chart
from monitoring.domain.drift.assessment import aligned
from monitoring.domain.outputs import NotComparable
from monitoring.domain.series import Series
from monitoring.domain.window import Window
from monitoring.models import DriftReading
from monitoring.ports import MetricsSource
from monitoring.queries.columns import SIDES, columns_of


def history_charts(
    endpoint: str, readings: Sequence[DriftReading], names: Sequence[tuple[str, str]], window: Window
) -> list[Chart]:
    """One chart per (side, column) of `names`: its PSI over time, and the threshold it is held against."""
    return [
        time_chart(
            id=f"{endpoint}-psi-{index}", title=f"PSI of {name}", unit="PSI", window=window,
            curves=[
                Curve("baseline", "drifts above", _series(readings, side, name, "threshold")),
                Curve("candidate", name, _series(readings, side, name, "psi")),
            ],
            text=lambda value: f"{value:.3f}",
            caption=f"{side.rstrip('s').capitalize()} column, against the baseline of the version.",
        )
        for index, (side, name) in enumerate(names)
    ]  # fmt: skip


def distribution_charts(
    source: MetricsSource,
    reading: DriftReading,
    profile: Mapping[str, Any] | None,
    names: Sequence[tuple[str, str]],
    window: Window,
) -> list[Chart]:
    """How the columns were distributed over the window against the baseline. Raises MetricsUnavailable."""
    charts = []
    wanted = set(names)
    for side in SIDES:
        items = [item for item in (profile or {}).get(side) or () if (side, item["name"]) in wanted]
        if not items:
            continue
        live = columns_of(source, side, window, reading.endpoint, [reading.version])
        for item in items:
            found = live.get((reading.version, item["name"]))
            if found is None:
                continue
            try:
                bins, counts, expected = aligned(item, found)
            except NotComparable:
                continue
            charts.append(_bars(reading, side, item, bins, counts, expected))
    return charts


def _bars(
    reading: DriftReading,
    side: str,
    item: Mapping[str, Any],
    bins: list[str] | list[float],
    counts: FloatArray,
    expected: FloatArray,
) -> Chart:
    name = item["name"]
    return bar_chart(
        id=f"{reading.endpoint}-{side}-{name}", title=f"Distribution of {name}",
        x_label="class" if item["kind"] == "categorical" else f"{name} (edges of the bins)", bins=bins,
        populations=[
            Population("baseline", "baseline (at registration)", expected),
            Population("candidate", f"version {reading.version} (served)", counts),
        ],
        caption="",
    )  # fmt: skip


def _series(readings: Sequence[DriftReading], side: str, name: str, key: str) -> Series:
    """One figure of one column; NaN where it could not be measured."""
    values = [
        next((c[key] for c in reading.columns if c["side"] == side and c["name"] == name), None)
        for reading in readings
    ]
    times = np.array([reading.at for reading in readings], dtype=np.float64)
    return Series(times, np.array([np.nan if value is None else value for value in values], dtype=np.float64))
