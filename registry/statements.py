"""SQL that is sent as it stands, for the few statements that every request makes.

PostgreSQL parses and plans each of them once per connection: prepared, a join by key costs it and the client
a fifth of what it costs as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import count
from typing import Any

import orjson
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

Row = Sequence[Any]


def rows(sql: str, parameters: Sequence[Any], *, anew: bool = False) -> list[Row]:
    """All rows of a query or of a RETURNING; the SQL is one of few, whatever the parameters are.

    `anew`: planned for these parameters each time. For conditions that hold for a few rows or for most of
    them: a plan that is to fit every value suits one of the two badly.
    """
    found: list[Row] = _done(sql, parameters, not anew).fetchall()
    return found


def row(sql: str, parameters: Sequence[Any]) -> Row | None:
    """The first row, or None."""
    found = rows(sql, parameters)
    return found[0] if found else None


def run(sql: str, parameters: Sequence[Any]) -> int:
    """How many rows a change touched."""
    return int(_done(sql, parameters, True).rowcount)


def array(values: Sequence[float | bool]) -> str:
    """Numbers or truth values as PostgreSQL writes an array of them: a tenth of the driver's own cost."""
    text = orjson.dumps(values).decode()
    if "null" in text:  # JSON knows no infinity
        text = f"[{','.join(map(repr, values))}]"
    return f"{{{text[1:-1]}}}"


def _done(sql: str, parameters: Sequence[Any], prepare: bool) -> Any:
    """A cursor that has run the statement."""
    # `connection` looks itself up at every use; once is enough here.
    own = connections[DEFAULT_DB_ALIAS]
    if own.vendor != "postgresql":
        cursor = own.cursor()
        cursor.execute(sql, parameters)
        return cursor
    if own.connection is None:
        own.ensure_connection()
    kind = _apart(prepare and settings.SLIPWAY_DATABASE_PREPARE)
    made = kind(own.connection)
    if own.execute_wrappers or own.queries_logged or own.needs_rollback:
        # Django's cursor around it logs it, tells whoever watches, and refuses it in a broken transaction.
        own._prepare_cursor(made).execute(sql, parameters)  # type: ignore[attr-defined]
        return made
    try:
        return made.execute(sql, parameters)
    except own.Database.Error:  # type: ignore[attr-defined]
        with own.wrap_database_errors:
            raise


@cache
def _apart(prepare: bool) -> type[Any]:
    import psycopg

    class Apart(psycopg.RawCursor[Any]):
        """Sends parameters apart from the statement, and what is to be prepared once."""

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(_numbered(query), params, prepare=prepare)

    return Apart


@lru_cache(maxsize=2000)
def _numbered(sql: str) -> str:
    """`%s` as `$1`, `$2`…: psycopg would read a statement of more than 50 parameters anew each time."""
    numbers = count(1)
    return re.sub("%[%s]", lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", sql)
