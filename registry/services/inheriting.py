"""What a version that MLflow registered takes over from its training run."""

from __future__ import annotations

from typing import Any

from registry.domain import names
from registry.domain.draft import MAX_METRICS, Point
from registry.errors import Invalid
from registry.models import Run, Series, Version


def taken_over(version: Version) -> tuple[dict[str, Any], list[Point]]:
    """The run's parameters, texts as MLflow keeps them, and the last point of each metric, as they are now.

    Empty for a version that was registered otherwise. Left out are metrics that are NaN or infinite, and
    those whose names Slipway does not take.
    """
    run = Run.objects.filter(uid=version.training_run).first() if version.source else None
    if run is None:
        return {}, []
    last = run.series.filter(nan=False).order_by("key")[:MAX_METRICS]
    points = [Point(series.key, series.value, series.step) for series in last if _is_plain(series)]
    return dict(run.params), points


def _is_plain(series: Series) -> bool:
    try:
        names.metric_name(series.key)
    except Invalid:
        return False
    return abs(series.value) < float("inf")
