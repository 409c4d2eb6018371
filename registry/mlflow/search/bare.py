"""Pages of plain columns: no instances, no dictionaries, and SQL written once for what is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, Func, QuerySet

from registry import statements
from registry.mlflow.search.paging import Sort, after, ordered, read_token, write_token
from registry.prepared import Written, remembered, written
from registry.statements import Row


@dataclass(frozen=True, slots=True)
class BarePage:
    """One page; `token` continues after it, "" on the last one."""

    rows: Sequence[Row]
    token: str


class _Micros(Func):
    """A time as whole microseconds since 1970: read as a number it costs a fraction of what a date costs."""

    arity = 1
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # A double tells quarters of a microsecond apart until 2038, halves until 2106.
        template = "round(date_part('epoch', %(expressions)s) * 1000000)::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        sql, parameters = compiler.compile(self.get_source_expressions()[0])
        whole = f"CAST(strftime('%%s', {sql}) AS INTEGER) * 1000000"
        return f"({whole} + CAST(substr({sql} || '.000000', 21, 6) AS INTEGER))", [*parameters, *parameters]


# Under which name a time is read; what is sorted by it is told by it too.
_TIMES = {"created_at": "created_us", "updated_at": "updated_us"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timed(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows with `created_us` and `updated_us`, their times in whole microseconds since 1970."""
    read: QuerySet[Any] = rows.annotate(**{name: _Micros(column) for column, name in _TIMES.items()})
    return read


def bare_page(
    make: Callable[[], QuerySet[Any]],
    sorts: Sequence[Sort],
    columns: Sequence[str],
    *,
    limit: int,
    token: str,
    key: tuple[Any, ...],
) -> BarePage:
    """`limit` rows in the order of `sorts`, each a tuple that begins with `columns` as the cursor gives them.

    `make` gives the query set, `timed` if it is sorted by a time. All of it, values too, follows from `key`;
    no sort key is an expression.
    """
    names = _read(columns, sorts)
    if token:
        rows = make().filter(after(sorts, read_token(token, sorts)))
        statement = written(_page(rows, sorts, names, limit))
    else:
        known = ("bare", key, tuple(names), tuple(sorts), limit)
        statement = remembered(known, lambda: _page(make(), sorts, names, limit))
    items = statements.rows(statement.sql, statement.parameters, anew=True)
    if len(items) <= limit:
        return BarePage(items, "")
    keys = [_key(statement, items[limit - 1], names, sort) for sort in sorts]
    return BarePage(items[:limit], write_token(sorts, keys))


def _read(columns: Sequence[str], sorts: Sequence[Sort]) -> list[str]:
    """What is read of a row: `columns`, and the keys that say where the page ends, each once."""
    return list(dict.fromkeys([*columns, *(_TIMES.get(sort.name, sort.name) for sort in sorts)]))


def _key(statement: Written, row: Row, names: Sequence[str], sort: Sort) -> Any:
    if sort.name in _TIMES:
        return _EPOCH + timedelta(microseconds=row[names.index(_TIMES[sort.name])])
    return statement.value(row, names.index(sort.name))


def _page(rows: QuerySet[Any], sorts: Sequence[Sort], names: Sequence[str], limit: int) -> QuerySet[Any, Any]:
    return ordered(rows, sorts).values_list(*names)[: limit + 1]
