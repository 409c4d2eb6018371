"""Pages of plain columns: no instances, no dictionaries, and SQL written once for what is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, F, Func, QuerySet

from registry import statements
from registry.mlflow.search.paging import Sort, after, read_token, write_token
from registry.statements import Row

# First pages whose SQL is remembered: clients ask the same few questions again and again.
_REMEMBERED = 500
_KNOWN: dict[tuple[Any, ...], _Statement] = {}


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
        template = "floor(extract(epoch FROM %(expressions)s) * 1000)::bigint"
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
        statement = _written(make().filter(after(sorts, read_token(token, sorts))), sorts, columns, limit)
    else:
        known = (connection.vendor, key, tuple(columns), tuple(sorts), limit)
        statement = _KNOWN.get(known) or _remember(known, _written(make(), sorts, columns, limit))
    items = statements.rows(statement.sql, statement.parameters)
    if len(items) <= limit:
        return BarePage(items, "")
    return BarePage(items[:limit], write_token(sorts, statement.sorted_by(items[limit - 1])))


@dataclass(frozen=True, slots=True)
class _Statement:
    """SQL with its parameters; `keys` are the places of the sort keys, and what turns them into values."""

    sql: str
    parameters: tuple[Any, ...]
    keys: tuple[tuple[int, Sequence[Any], Any], ...]

    def sorted_by(self, row: Row) -> list[Any]:
        values = []
        for place, converters, expression in self.keys:
            value = row[place]
            for converter in converters:
                value = converter(value, expression, connection)
            values.append(value)
        return values


def _written(rows: QuerySet[Any], sorts: Sequence[Sort], columns: Sequence[str], limit: int) -> _Statement:
    wanted = list(dict.fromkeys([*columns, *(sort.name for sort in sorts)]))
    order = [F(sort.name).desc() if sort.descending else F(sort.name).asc() for sort in sorts]
    query = rows.order_by(*order).values_list(*wanted)[: limit + 1].query
    compiler = query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    converters = compiler.get_converters([column for column, _, _ in compiler.select[: compiler.col_count]])
    places = [wanted.index(sort.name) for sort in sorts]
    return _Statement(sql, tuple(parameters), tuple((at, *converters.get(at, ((), None))) for at in places))


def _remember(known: tuple[Any, ...], statement: _Statement) -> _Statement:
    if len(_KNOWN) >= _REMEMBERED:
        _KNOWN.clear()
    _KNOWN[known] = statement
    return statement
