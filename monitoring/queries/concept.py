"""The charts of concept drift: one per figure and label, a line per version."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitoring.domain.charts import Chart, Curve, time_chart
from monitoring.domain.series import Series
from monitoring.domain.window import Window
from monitoring.models import ConceptReading

TITLES = {
    "accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "auc": "Area under the ROC curve",
    "ece": "Calibration error", "brier": "Brier score", "mae": "Mean absolute error",
    "rmse": "Root mean squared error", "bias": "Bias",
}  # fmt: skip
# The newest version in the candidate's colour, the one before as stable, older ones as baseline.
ROLES = ("candidate", "stable", "baseline")


def concept_charts(endpoint: str, readings: Sequence[ConceptReading], window: Window) -> list[Chart]:
    """Figures over time of the three newest versions; bias has no chart because it may be negative."""
    charts = []
    for name in sorted({row.name for row in readings}):
        rows = [row for row in readings if row.name == name]
        for key, title in TITLES.items():
            if key != "bias" and any(key in row.metrics for row in rows):
                charts.append(_chart(endpoint, name, key, title, rows, window))
    return charts


def _chart(
    endpoint: str, name: str, key: str, title: str, rows: Sequence[ConceptReading], window: Window
) -> Chart:
    versions = sorted({row.version for row in rows}, key=lambda ref: (len(ref), ref), reverse=True)
    curves = []
    for version, role in zip(versions, ROLES, strict=False):
        own = [row for row in rows if row.version == version]
        times = np.array([row.at for row in own], dtype=np.float64)
        values = np.array([row.metrics.get(key, np.nan) for row in own], dtype=np.float64)
        curves.append(Curve(role, f"version {version}", Series(times, values)))
    return time_chart(
        id=f"{endpoint}-{name}-{key}", title=f"{title} of {name}", unit=key,
        curves=curves[::-1], window=window, text=lambda value: f"{value:.4g}",
        caption="By the hour of the prediction, from the labels known so far.",
    )  # fmt: skip
