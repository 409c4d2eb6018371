"""Pages of plain columns: no instances, no dictionaries, and SQL written once for what is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, Func, QuerySet

from registry import statements
from registry.mlflow.search.paging import Sort, after, ordered, read, read_token, write_token
from registry.prepared import remembered, written
from registry.statements import Row


@dataclass(frozen=True, slots=True)
class BarePage:
    """One page; `token` continues after it, "" on the last one."""

    rows: Sequence[Row]
    token: str


class Millis(Func):
    """A time as whole milliseconds since 1970."""

    arity = 1
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # As in `lookups`.
        template = "floor(date_part('epoch', %(expressions)s) * 1000 + 0.0005)::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        sql, parameters = compiler.compile(self.get_source_expressions()[0])
        whole = f"CAST(strftime('%%s', {sql}) AS INTEGER) * 1000"
        return f"({whole} + CAST(substr({sql} || '.000', 21, 3) AS INTEGER))", [*parameters, *parameters]


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

    `make` gives the query set. All of it, values too, follows from `key`; no sort key is an expression.
    """
    if token:
        rows = make().filter(after(sorts, read_token(token, sorts)))
        statement = written(_page(rows, sorts, columns, limit))
    else:
        known = ("bare", key, tuple(columns), tuple(sorts), limit)
        statement = remembered(known, lambda: _page(make(), sorts, columns, limit))
    items = statements.rows(statement.sql, statement.parameters, anew=True)
    if len(items) <= limit:
        return BarePage(items, "")
    names, last = read(columns, sorts), items[limit - 1]
    keys = [statement.value(last, names.index(sort.name)) for sort in sorts]
    return BarePage(items[:limit], write_token(sorts, keys))


def _page(
    rows: QuerySet[Any], sorts: Sequence[Sort], columns: Sequence[str], limit: int
) -> QuerySet[Any, Any]:
    return ordered(rows, sorts).values_list(*read(columns, sorts))[: limit + 1]
