"""The page of concept drift: how right each version was, by the labels that came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from monitoring.queries.concept import TITLES, concept_charts
from monitoring.samples import concept
from rollouts import reach
from rollouts.domain.asking import since_first, window_of
from rollouts.web.door import page

WEEK = timedelta(days=7)
LISTED = 50


@page()
def quality(request: HttpRequest, name: str) -> HttpResponse:
    """Charts of the last week (or of `?start=`, `?end=`) and the newest readings."""
    endpoint = reach.endpoint_for(request.user, name)
    window = window_of(request.GET, timezone.now() + timedelta(hours=1), default=WEEK)
    readings = concept.readings(endpoint.name, window)
    if readings:
        window = since_first(window, readings[0].start)
    labels, predictions = (0, 0) if readings else concept.arrived(endpoint.name)
    context = {
        "missing": _missing(endpoint.name, labels, predictions),
        "unsampled": not predictions,
        "endpoint": endpoint,
        "charts": concept_charts(endpoint.name, readings, window),
        "rows": [
            {
                "row": row,
                "at": datetime.fromtimestamp(row.at, UTC),
                "figures": [
                    (TITLES.get(key, key), f"{value:.4g}") for key, value in sorted(row.metrics.items())
                ],
            }
            for row in readings[: -LISTED - 1 : -1]
        ],
    }
    return render(request, "rollouts/quality.html", context)


def _missing(endpoint: str, labels: int, predictions: int) -> str:
    """What is not there yet, where no label has met a sampled prediction."""
    kept = f"{labels:,} label{'' if labels == 1 else 's'}"
    if labels and predictions:
        return (
            f"None of the {kept} of {endpoint} was measured with one of its {predictions:,} sampled "
            "predictions in this time. They meet by request id, and are measured every five minutes."
        )
    if labels:
        return f"{kept} of {endpoint} arrived and wait: no prediction is sampled that could meet them."
    sampled = f" for one of the {predictions:,} sampled predictions" if predictions else ""
    return f"No label has arrived{sampled}."
