"""SQL that is sent as it stands, for the few statements that every request makes.

PostgreSQL parses and plans each of them once per connection: prepared, a join by key costs it and the client
a fifth of what it costs as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper

Row = Sequence[Any]


def rows(sql: str, parameters: Sequence[Any]) -> list[Row]:
    """All rows of a query or of a RETURNING; the SQL is one of few, whatever the parameters are."""
    with _cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[Row] = cursor.fetchall()
    return found


def row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """The first row, or None."""
    found = rows(sql, parameters)
    return found[0] if found else None


def run(sql: str, parameters: Sequence[Any]) -> int:
    """How many rows a change touched."""
    with _cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def _cursor() -> CursorWrapper:
    """Django's cursor, which logs and translates errors, around one that prepares what it sends."""
    # `connection` looks itself up at every use; once is enough here.
    own = connections[DEFAULT_DB_ALIAS]
    if own.vendor != "postgresql" or not settings.SLIPWAY_DATABASE_PREPARE:
        return own.cursor()
    own.ensure_connection()
    made: CursorWrapper = own._prepare_cursor(_preparing()(own.connection))  # type: ignore[attr-defined]
    return made


@cache
def _preparing() -> type[Any]:
    import psycopg

    class Preparing(psycopg.Cursor[Any]):
        """Sends parameters apart from the statement, and the statement itself once."""

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(query, params, prepare=True)

    return Preparing
