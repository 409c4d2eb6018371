"""Metrics of versions: points are appended, the last of each name is kept at hand."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from registry import audit, statements
from registry.domain.actor import Actor
from registry.domain.draft import Point
from registry.errors import NotFound
from registry.models import Metric, Version
from registry.prepared import Prepared, PreparedInsert

_LOCKED = Prepared(
    lambda pk: (
        Version.objects.select_for_update().filter(pk=pk, deleted_at=None).order_by().values_list("pk")
    ),
    pk=-1,
)
_BATCH = 500
_POINT = PreparedInsert(Metric)
# A point of an earlier step than the last one is no latest.
_LAST = (
    "INSERT INTO registry_latestmetric (version_id, name, value, step) VALUES {rows} "
    "ON CONFLICT (version_id, name) DO UPDATE SET value = excluded.value, step = excluded.step "
    "WHERE excluded.step >= registry_latestmetric.step"
)


def add_metrics(*, version: Version, points: Sequence[Point], actor: Actor, reason: str = "") -> None:
    """Append points to a version's metrics; a second value for one step is kept beside the first."""
    with transaction.atomic():
        # The lock makes two writers of one metric agree on which point is the last.
        if not _LOCKED.rows(pk=version.pk):
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
    rows = [Metric(version=version, name=p.name, value=p.value, step=p.step) for p in points]
    if len(rows) == 1:
        _POINT.save(rows[0])
    else:
        Metric.objects.bulk_create(rows, batch_size=_BATCH)
    last: dict[str, Point] = {}
    for point in points:
        if point.name not in last or point.step >= last[point.name].step:
            last[point.name] = point
    known = list(last.values())
    for start in range(0, len(known), _BATCH):
        _refresh(version, known[start : start + _BATCH])


def _refresh(version: Version, points: Sequence[Point]) -> None:
    sql = _LAST.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(points)))
    values = [value for p in points for value in (version.pk, p.name, p.value, p.step)]
    if len(points) == 1:
        statements.run(sql, values)
        return
    # Of every length another statement: none is worth preparing.
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
