"""The figures of many endpoints beside their names: two questions to the metrics source, however many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.domain.judge import wording as say
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.queries.overview import endpoints_overview
from monitoring.wiring import metrics_source

WINDOW_SECONDS = 120


@dataclass(frozen=True, slots=True)
class FiguresView:
    """What an endpoint does, as text; empty where it is not known."""

    requests: str = ""
    errors: str = ""
    p95: str = ""


def figures_of(endpoints: Sequence[str], now: datetime) -> tuple[dict[str, FiguresView], str]:
    """Figures over the last two minutes by endpoint, and what is the matter when there are none."""
    try:
        found = endpoints_overview(metrics_source(), endpoints, Window.last(WINDOW_SECONDS, now))
    except MetricsUnavailable as error:
        return {}, f"The figures are not known: {error.message}"
    return {
        name: FiguresView(
            requests=f"{item.per_second:.1f}/s",
            errors="" if item.error_rate is None else say.percent(item.error_rate),
            p95="" if item.p95 is None else say.milliseconds(item.p95),
        )
        for name, item in found.items()
    }, ""
