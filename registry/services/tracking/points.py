"""Points of metrics: thousands in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction

from registry import statements
from registry.domain.foreign import key_name
from registry.errors import Invalid, NotFound
from registry.models import LoggedMetric, LoggedModel, Run
from registry.services.tracking.runs import deleted_run

BIGINT = 2**63


class Reading(NamedTuple):
    """One value of a metric; NaN is `nan` with the value 0. `model` is the uid of a logged model."""

    key: str
    value: float
    nan: bool
    timestamp: int
    step: int
    model: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


# A series keeps its last point: the one of the highest step, then time, then value.
_NEWER = (
    "(excluded.step, excluded.timestamp, excluded.value) >= "
    "(registry_series.step, registry_series.timestamp, registry_series.value)"
)
_KEEP = ", ".join(
    f"{column} = CASE WHEN {_NEWER} THEN excluded.{column} ELSE registry_series.{column} END"
    for column in ("value", "nan", "step", "timestamp")
)
_UPSERT = f"ON CONFLICT (run_id, key) DO UPDATE SET {_KEEP} RETURNING id, key"
_POINT = "INSERT INTO registry_point (series_id, timestamp, step, value, nan)"
_POINTS = f"""
WITH given AS (
    SELECT (%s::text[])[item.place] AS key, value, nan, timestamp, step
    FROM unnest(%s::int[], %s::float8[], %s::bool[], %s::bigint[], %s::bigint[])
        AS item (place, value, nan, timestamp, step)
), last AS (
    SELECT DISTINCT ON (key) * FROM given ORDER BY key, step DESC, timestamp DESC, value DESC
), series AS (
    INSERT INTO registry_series (run_id, key, value, nan, step, timestamp)
    SELECT run.id, last.key, last.value, last.nan, last.step, last.timestamp
    FROM last, registry_run run WHERE run.uid = %s AND NOT run.deleted
    ORDER BY last.key
    {_UPSERT}
), points AS (
    {_POINT}
    SELECT series.id, given.timestamp, given.step, given.value, given.nan
    FROM given JOIN series USING (key)
    {{conflict}}
)
SELECT count(*) FROM series
"""
_ANY_POINTS = _POINTS.format(conflict="ON CONFLICT DO NOTHING")
# Being ready for points that are there already costs each new one half as much again.
_NEW_POINTS = _POINTS.format(conflict="")


def log_points(*, uid: str, readings: Sequence[Reading]) -> None:
    """Append points to the run's metrics; one that is there already is ignored.

    `NotFound` when there is no such run or logged model, `Invalid` when the run is deleted.
    """
    if not readings:
        return
    for key in {reading.key for reading in readings}:
        key_name(key, what="metric")
    for_models = [reading for reading in readings if reading.model]
    if connection.vendor == "postgresql" and not for_models:
        _write(uid, readings)
        return
    with transaction.atomic():
        _write(uid, readings)
        if for_models:
            _log_on_models(Run.objects.only("id").get(uid=uid), for_models)


def _write(uid: str, readings: Sequence[Reading]) -> None:
    logged = (
        _on_postgresql(uid, readings) if connection.vendor == "postgresql" else _one_by_one(uid, readings)
    )
    if not logged:
        run = Run.objects.only("deleted").filter(uid=uid).first()
        raise NotFound(f"Run with id={uid} not found") if run is None else deleted_run(uid)


def _on_postgresql(uid: str, readings: Sequence[Reading]) -> bool:
    keys, *numbers = list(zip(*readings, strict=True))[:5]
    # Each name is sent once; PostgreSQL counts from 1.
    places = {key: place for place, key in enumerate(dict.fromkeys(keys), 1)}
    columns = [[places[key] for key in keys], *numbers]
    parameters = [list(places), *map(statements.array, columns), uid]
    found = _new(parameters) or statements.row(_ANY_POINTS, parameters)
    return found is not None and bool(found[0])


def _new(parameters: Sequence[Any]) -> statements.Row | None:
    """None when a point is there already, and nothing is written: clients send a batch again at times.

    Not tried inside a transaction, which an error would break.
    """
    if connection.in_atomic_block:
        return None
    try:
        return statements.row(_NEW_POINTS, parameters)
    except IntegrityError:
        return None


def _one_by_one(uid: str, readings: Sequence[Reading]) -> bool:
    run = Run.objects.only("id").filter(uid=uid, deleted=False).first()
    if run is None:
        return False
    last: dict[str, Reading] = {}
    for reading in readings:
        if reading.key not in last or _place(reading) >= _place(last[reading.key]):
            last[reading.key] = reading
    with connection.cursor() as cursor:
        ids = {}
        for item in last.values():
            cursor.execute(
                "INSERT INTO registry_series (run_id, key, value, nan, step, timestamp) "
                f"VALUES (%s, %s, %s, %s, %s, %s) {_UPSERT}",
                [run.pk, item.key, item.value, item.nan, item.step, item.timestamp],
            )
            ids[item.key] = cursor.fetchone()[0]
        cursor.executemany(
            f"{_POINT} VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(ids[r.key], r.timestamp, r.step, r.value, r.nan) for r in readings],
        )
    return True


def _place(reading: Reading) -> tuple[Any, ...]:
    return reading.step, reading.timestamp, reading.value


def _log_on_models(run: Run, readings: Sequence[Reading]) -> None:
    uids = {reading.model for reading in readings}
    ids = dict(LoggedModel.objects.filter(uid__in=uids, deleted=False).values_list("uid", "pk"))
    missing = sorted(uids - set(ids))
    if missing:
        raise NotFound(f"Logged model with ID {missing[0]!r} not found.")
    last: dict[tuple[Any, ...], Reading] = {}
    for item in readings:
        if (item.dataset_digest or item.dataset_name) and not (item.dataset_digest and item.dataset_name):
            raise Invalid("A data set needs both a name and a digest.", field="dataset_name")
        key = (item.model, item.key, item.dataset_name, item.dataset_digest)
        if key not in last or _place(item) >= _place(last[key]):
            last[key] = item
    LoggedMetric.objects.bulk_create(
        [
            LoggedMetric(
                model_id=ids[item.model],
                run=run,
                key=item.key,
                value=item.value,
                nan=item.nan,
                step=item.step,
                timestamp=item.timestamp,
                dataset_name=item.dataset_name,
                dataset_digest=item.dataset_digest,
            )
            for item in last.values()
        ],
        update_conflicts=True,
        unique_fields=["model", "run", "key", "dataset_name", "dataset_digest"],
        update_fields=["value", "nan", "step", "timestamp"],
    )
