"""Rows as JSON documents straight from the database: PostgreSQL writes the text.

Neither rows nor JSON columns become Python objects on their way, which would cost several times as much; see
benchmarks/registry. Other databases answer with columns, and the same documents are put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import F, Func, JSONField, Model, QuerySet, Subquery, TextField
from django.db.models.expressions import RawSQL

from registry import statements
from registry.api.rendering import to_json
from registry.prepared import Prepared, remembered, written
from registry.queries import MAX_PAGE, Page

Document = Any
Field = F | Func | Subquery


class Shape:
    """The fields of a document, each a column (`model__name` follows a link) or an expression."""

    def __init__(self, row: type[Model], columns: Iterable[str] = (), /, **expressions: Field) -> None:
        self.row = row
        self.fields: dict[str, Field] = {**{name: F(name) for name in columns}, **expressions}
        among = RawSQL("SELECT unnest(%s::bigint[])", ["@ids"])
        self._by_ids = Prepared(
            lambda ids: self.columns(row._default_manager.filter(pk__in=among).order_by(), "pk"), ids="@ids"
        )

    def wider(self, *columns: str) -> Shape:
        """The same with more columns."""
        return Shape(self.row, (), **self.fields, **{name: F(name) for name in columns})

    def columns(self, rows: QuerySet[Any], *keys: str) -> QuerySet[Any, Any]:
        """The rows as `keys` and what `document` makes a document of."""
        if connection.vendor == "postgresql":
            return rows.values_list(*keys, _Written(self.fields))
        return rows.values_list(*keys, *self.fields.values())

    def document(self, columns: Sequence[Any]) -> Document:
        """A row without its keys as a document."""
        if connection.vendor == "postgresql":
            return orjson.Fragment(columns[0])
        return dict(zip(self.fields, columns, strict=True))

    def page(
        self, rows: Callable[[], QuerySet[Any]], limit: int, key: str, *, asked: Hashable = None
    ) -> Page[Document]:
        """The first `limit` of the ordered rows; `key` is the column that tells where to go on.

        2 queries: which rows, whatever is asked of them, and then what they hold, which is always the same
        statement: the ORM writes it once, and PostgreSQL plans it once. What all of `rows` follows from is
        `asked`; None when it is hardly asked again.
        """
        limit = max(1, min(limit, MAX_PAGE))

        def keys_of() -> QuerySet[Any, Any]:
            return rows().values_list(key, "pk")[: limit + 1]

        query = remembered(("page", asked, key, limit), keys_of) if asked else written(keys_of())
        keys = statements.rows(query.sql, query.parameters, anew=True)
        more, keys = len(keys) > limit, keys[:limit]
        held = self._held([pk for _, pk in keys]) if keys else {}
        # What was deleted in between is no longer there.
        items = [held[pk] for _, pk in keys if pk in held]
        return Page(items, str(keys[-1][0]) if more else None)

    def _held(self, ids: list[int]) -> dict[int, Document]:
        if connection.vendor == "postgresql":
            texts = self._by_ids.rows(ids=statements.array(ids))
            return {pk: orjson.Fragment(text) for pk, text in texts}
        found = self.columns(self.row._default_manager.filter(pk__in=ids), "pk")
        return {row[0]: self.document(row[1:]) for row in found}


class One:
    """A prepared query for the document of one row; see `Prepared`. `keys` are columns that come with it."""

    def __init__(self, shape: Shape, rows: Any, *, keys: Sequence[str] = (), **arguments: str | int) -> None:
        self._shape, self._keys = shape, len(keys)
        self._query = Prepared(lambda **given: shape.columns(rows(**given), *keys), **arguments)

    def find(self, **values: str | int) -> tuple[Sequence[Any], Document] | None:
        """The keys and the document, or None when there is no such row."""
        rows = self._query.rows(**values)
        if not rows:
            return None
        return rows[0][: self._keys], self._shape.document(rows[0][self._keys :])


def added(document: Document, **fields: Any) -> Document:
    """The document with more fields."""
    if isinstance(document, orjson.Fragment):
        return orjson.Fragment(to_json(document)[:-1] + b"," + to_json(fields)[1:])
    return document | fields


class _Written(Func):
    """The document as JSON text; on PostgreSQL only."""

    output_field = TextField()

    def __init__(self, fields: dict[str, Field]) -> None:
        self.names = tuple(fields)
        super().__init__(*fields.values())

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # type: ignore[override]
        pairs, parameters = [], []
        for name, source in zip(self.names, self.get_source_expressions(), strict=True):
            sql, given = compiler.compile(source)
            pairs.append(f"'{name}', {sql}")
            parameters.extend(given)
        return f"json_build_object({', '.join(pairs)})::text", parameters


class Gathered(Subquery):
    """The rows of a query for one column as a JSON array, or with `keyed` for two columns as an object."""

    output_field = JSONField()

    def __init__(self, rows: QuerySet[Any, Any], *, keyed: bool = False) -> None:
        super().__init__(rows)
        self.keyed = keyed

    def as_sql(self, compiler: Any, connection: Any, template: Any = None, **context: Any) -> Any:
        own = "json_object_agg" if self.keyed else "json_agg"
        other = "json_group_object" if self.keyed else "json_group_array"
        function = own if connection.vendor == "postgresql" else other
        columns = ", ".join(f"_g.{name}" for name in ("k", "v")[: 1 + self.keyed])
        names = ", ".join(("k", "v")[: 1 + self.keyed])
        empty = "{}" if self.keyed else "[]"
        gathered = f"(SELECT {function}({columns}) FROM (%(subquery)s) _g({names}))"
        if connection.vendor != "postgresql":
            # SQLite names no columns of a subquery in its alias.
            gathered = f"(WITH _g({names}) AS (%(subquery)s) SELECT {function}({columns}) FROM _g)"
            return super().as_sql(compiler, connection, template=gathered, **context)
        template = f"coalesce({gathered}, '{empty}'::json)"
        return super().as_sql(compiler, connection, template=template, **context)
