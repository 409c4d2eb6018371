"""Metrics of versions: points are appended, the last of each name is kept at hand."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from registry import audit
from registry.domain.actor import Actor
from registry.domain.draft import Point
from registry.errors import NotFound
from registry.models import LatestMetric, Metric, Version


def add_metrics(*, version: Version, points: Sequence[Point], actor: Actor, reason: str = "") -> None:
    """Append points to a version's metrics; a second value for one step is kept beside the first."""
    with transaction.atomic():
        # The lock makes two writers of one metric agree on which point is the last.
        if not Version.objects.select_for_update().filter(pk=version.pk, deleted_at=None).exists():
            raise NotFound(f"{version} was deleted.")
        append(version, points)
        audit.record(
            actor=actor,
            action="version.measure",
            target=f"models/{version.model.name}/versions/{version.number}",
            after={"points": len(points), "last": {p.name: p.value for p in points[-20:]}},
            reason=reason,
        )


def append(version: Version, points: Sequence[Point]) -> None:
    """Insert points and refresh the latest of each name; inside the caller's transaction, version locked."""
    if not points:
        return
    Metric.objects.bulk_create(
        [Metric(version=version, name=p.name, value=p.value, step=p.step) for p in points], batch_size=500
    )
    last: dict[str, Point] = {}
    for point in points:
        if point.name not in last or point.step >= last[point.name].step:
            last[point.name] = point
    known = dict(
        LatestMetric.objects.filter(version=version, name__in=list(last)).values_list("name", "step")
    )
    LatestMetric.objects.bulk_create(
        [
            LatestMetric(version=version, name=p.name, value=p.value, step=p.step)
            for p in last.values()
            if p.step >= known.get(p.name, p.step)
        ],
        update_conflicts=True,
        unique_fields=["version", "name"],
        update_fields=["value", "step"],
        batch_size=500,
    )
