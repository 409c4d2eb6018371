"""The page of an endpoint's drift: which columns moved, how far, since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from monitoring import drifting
from monitoring.domain.charts import Chart
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.models import DriftReading
from monitoring.queries.drift import distribution_charts, history_charts
from monitoring.wiring import metrics_source
from registry.models import Version
from rollouts import reach
from rollouts.domain.asking import since_first, window_of
from rollouts.models import Endpoint
from rollouts.web.door import page
from rollouts.web.look import Badge

NONE = "–"
# So many of the farthest columns are drawn.
DRAWN = 4
WEEK = timedelta(days=7)
STATES = {
    "drifted": Badge("Drifts", "fail"),
    "moderate": Badge("Moderate", "hold"),
    "stable": Badge("Stable", "pass"),
    "no_data": Badge("No data", "muted"),
    "not_comparable": Badge("Other bins", "muted"),
}
MEASURES = ("psi", "threshold", "kl", "js", "ks", "chi2_p", "wasserstein")


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column's measures as text, in the order of MEASURES."""

    name: str
    side: str
    badge: Badge
    n: str
    measures: tuple[str, ...]


@page()
def drift(request: HttpRequest, name: str) -> HttpResponse:
    """The newest reading of `?version=` (or of the newest version), its ranking, history and charts."""
    endpoint = reach.endpoint_for(request.user, name)
    window = window_of(request.GET, timezone.now(), default=WEEK)
    readings = drifting.latest(endpoint.name)
    wanted = request.GET.get("version", "")
    reading = next((row for row in readings if row.version == wanted), readings[0] if readings else None)
    context: dict[str, Any] = {
        "endpoint": endpoint,
        "readings": [(row, STATES[row.state]) for row in readings],
        "reading": reading,
        "interval": f"{settings.SLIPWAY_DRIFT_INTERVAL // 60} min",
    }
    if reading is not None:
        charts, problem = _charts(endpoint, reading, window)
        context |= {
            "rows": [_row(column) for column in reading.columns],
            "at": datetime.fromtimestamp(reading.at, UTC),
            "start": datetime.fromtimestamp(reading.start, UTC),
            "charts": charts,
            "problem": problem,
        }
    return render(request, "rollouts/drift.html", context)


def _charts(endpoint: Endpoint, reading: DriftReading, window: Window) -> tuple[list[Chart], str]:
    """The charts of the farthest columns, and why some are missing."""
    names = [(column["side"], column["name"]) for column in reading.columns[:DRAWN]]
    readings = drifting.history(endpoint.name, reading.version, window)
    if readings:
        window = since_first(window, readings[0].start)
    charts = history_charts(endpoint.name, readings, names, window)
    version = Version.objects.filter(model=endpoint.model, number=int(reading.version)).first()
    measured = Window(datetime.fromtimestamp(reading.start, UTC), datetime.fromtimestamp(reading.at, UTC))
    try:
        profile = version.profile if version else None
        charts += distribution_charts(metrics_source(), reading, profile, names, measured)
    except MetricsUnavailable as error:
        return charts, str(error)
    return charts, ""


def _row(column: Mapping[str, Any]) -> ColumnRow:
    return ColumnRow(
        name=column["name"],
        side=column["side"].rstrip("s"),
        badge=STATES.get(column["state"], STATES["no_data"]),
        n=f"{column['n']:,.0f}",
        measures=tuple(NONE if column.get(key) is None else f"{column[key]:.3g}" for key in MEASURES),
    )
