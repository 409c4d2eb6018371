"""Metrics of versions: points are appended, the last of each name is kept at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from registry import audit, changes
from registry.changes import Change
from registry.domain.actor import Actor
from registry.domain.draft import Point
from registry.errors import NotFound
from registry.models import Metric, Version
from registry.prepared import GOING, Prepared, PreparedInsert

_LOCKED = Prepared(
    lambda pk: (
        Version.objects.select_for_update(no_key=True)
        .filter(pk=pk, deleted_at=None)
        .order_by()
        .values_list("pk")
    ),
    pk=-1,
)
_AS_READ = "SELECT FROM registry_version WHERE id = %s AND deleted_at IS NULL"
_BATCH = 500
_POINT = PreparedInsert(Metric)
# A point of an earlier step than the last one is no latest.
_LAST = (
    "INSERT INTO registry_latestmetric (version_id, name, value, step) {rows} "
    "ON CONFLICT (version_id, name) DO UPDATE SET value = excluded.value, step = excluded.step "
    "WHERE excluded.step >= registry_latestmetric.step"
)
_LAST_OF_ONE = _LAST.format(rows=f"SELECT %s, %s, %s, %s WHERE {{{GOING}}}") + " RETURNING id"


def add_metrics(*, version: Version, points: Sequence[Point], actor: Actor, reason: str = "") -> list[Metric]:
    """Append points to a version's metrics; a second value for one step is kept beside the first.

    The points as they are stored.
    """
    made = [_row(version, point) for point in points]
    target = f"models/{version.model.name}/versions/{version.number}"
    after = {"points": len(points), "last": {p.name: p.value for p in points[-20:]}}

    def decide(held: bool) -> Change:
        if held:
            _lock(version)
        writes = [(_LAST_OF_ONE, _last(version, points[0])), _POINT.write(made[0])]
        return Change("version.measure", target, writes, after=after, as_read=(_AS_READ, [version.pk]))

    if len(points) == 1:
        changes.make(decide, actor=actor, reason=reason)
        return made
    with transaction.atomic():
        _lock(version)
        _append(version, points, made)
        audit.record(actor=actor, action="version.measure", target=target, after=after, reason=reason)
    return made


def append(version: Version, points: Sequence[Point]) -> None:
    """Insert points and refresh the latest of each name; inside the caller's transaction, version locked."""
    _append(version, points, [_row(version, point) for point in points])


def _append(version: Version, points: Sequence[Point], rows: list[Metric]) -> None:
    Metric.objects.bulk_create(rows, batch_size=_BATCH)
    last: dict[str, Point] = {}
    for point in points:
        if point.name not in last or point.step >= last[point.name].step:
            last[point.name] = point
    known = list(last.values())
    for start in range(0, len(known), _BATCH):
        _refresh(version, known[start : start + _BATCH])


def _refresh(version: Version, points: Sequence[Point]) -> None:
    sql = _LAST.format(rows=f"VALUES {', '.join(['(%s, %s, %s, %s)'] * len(points))}")
    # Of every length another statement: none is worth preparing.
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for point in points for value in _last(version, point)])


def _row(version: Version, point: Point) -> Metric:
    return Metric(version=version, name=point.name, value=point.value, step=point.step)


def _last(version: Version, point: Point) -> list[Any]:
    return [version.pk, point.name, point.value, point.step]


def _lock(version: Version) -> None:
    """Two writers of one metric agree on which point is the last."""
    if not _LOCKED.rows(pk=version.pk):
        raise NotFound(f"{version} was deleted.")
