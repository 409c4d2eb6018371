"""A page of a metric's history as JSON.

PostgreSQL writes the text itself, which costs less than fetching the points as rows; see benchmarks/registry.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from django.db import connection

from registry import queries
from registry.models import Version

_TEXT = """
    SELECT string_agg(
        '{"name":' || %s || ',"value":' || value || ',"step":' || step || ',"at":' || to_json(at) || '}', ','
    ), count(*)
    FROM (
        SELECT step, value, at FROM registry_metric
        WHERE version_id = %s AND name = %s AND (step, id) > (%s, %s)
        ORDER BY step, id LIMIT %s
    ) point
"""
_LAST = """
    SELECT step, id FROM registry_metric WHERE version_id = %s AND name = %s AND (step, id) > (%s, %s)
    ORDER BY step, id OFFSET %s LIMIT 2
"""
_BEFORE_ALL = (-1, 0)


def history_page(
    version: Version, name: str, *, limit: int, after: tuple[int, int] | None
) -> tuple[Any, str | None]:
    """The points as a JSON array, and the `after` of the next page."""
    if connection.vendor != "postgresql":
        return _from_rows(version, name, limit, after)
    place: list[Any] = [version.pk, name, *(after or _BEFORE_ALL)]
    with connection.cursor() as cursor:
        cursor.execute(_TEXT, [json.dumps(name), *place, limit])
        text, count = cursor.fetchone()
        last = []
        if count == limit:
            cursor.execute(_LAST, [*place, limit - 1])
            last = cursor.fetchall()
    following = f"{last[0][0]}.{last[0][1]}" if len(last) == 2 else None
    return orjson.Fragment(f"[{text or ''}]"), following


def _from_rows(
    version: Version, name: str, limit: int, after: tuple[int, int] | None
) -> tuple[Any, str | None]:
    points = queries.metric_history(version, name, limit=limit + 1, after=after)
    more, points = len(points) > limit, points[:limit]
    items = [{"name": name, "value": value, "step": step, "at": at} for step, _, value, at in points]
    return items, f"{points[-1].step}.{points[-1].pk}" if more else None
