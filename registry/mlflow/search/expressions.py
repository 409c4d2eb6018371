"""Comparisons as SQL. What a client wrote reaches the database as a parameter, never as text of a query."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import BooleanField, Expression, Func, Q, TextField, Value
from django.db.models.functions import Lower

_MIRROR = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class JsonText(Func):
    """The text under a key of a JSON object column; NULL when the key is absent."""

    arity = 2
    output_field = TextField()

    def __init__(self, column: Any, key: str) -> None:
        super().__init__(column, Value(key))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ->> ", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # json_extract would need the key quoted into a path; here it stays a parameter.
        template = "(SELECT value FROM json_each(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") WHERE key = (", **extra)


class _Holds(Func):
    """Whether a JSON object column holds exactly this key and text: answered by the GIN index."""

    output_field = BooleanField()

    def __init__(self, column: str, key: str, text: str) -> None:
        super().__init__(column, Value(key), Value(text))
        self.document = json.dumps({key: text})

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        column = self.get_source_expressions()[0]
        sql, params = compiler.compile(column)
        return f"({sql} @> %s::jsonb)", [*params, self.document]

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        sql, params = compiler.compile(self.get_source_expressions()[0])
        key, text = (item.value for item in self.get_source_expressions()[1:])
        found = f"(SELECT value FROM json_each({sql}) WHERE key = %s)"
        return f"({found} = %s)", [*params, key, text]


class _Has(Func):
    """Whether a JSON object column has the key: answered by the GIN index."""

    output_field = BooleanField()

    def __init__(self, column: str, key: str) -> None:
        super().__init__(column, Value(key))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ? ", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") WHERE key = (", **extra)


class _Like(Func):
    """LIKE with `%` and `_` only: there is no escape character, as in MLflow."""

    output_field = BooleanField()
    template = "(%(expressions)s ESCAPE '')"
    arg_joiner = " LIKE "

    def __init__(self, column: Any, pattern: str) -> None:
        super().__init__(column, Value(pattern))
        self.pattern = pattern

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # SQLite's LIKE does not tell cases apart; GLOB does.
        glob = "".join(_GLOB.get(c, c) for c in self.pattern)
        self.set_source_expressions([self.get_source_expressions()[0], Value(glob)])
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" GLOB ", **extra)


class _ILike(_Like):
    """LIKE that does not tell cases apart: both sides are in lower case."""

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", **extra)


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def compared(column: Any, op: str, value: Any) -> Q:
    """`column op value`; NULL compares as false, whatever the operator."""
    if op == "LIKE":
        return Q(_Like(column, value))
    if op == "ILIKE":
        return Q(_ilike(column, value))
    if op in {"IN", "NOT IN"}:
        each = [compared(column, "=" if op == "IN" else "!=", item) for item in value]
        result = each[0]
        for condition in each[1:]:
            result = result | condition if op == "IN" else result & condition
        return result
    joiner = f" {_MIRROR[op]} "
    return Q(
        Func(
            column, Value(value), template="(%(expressions)s)", arg_joiner=joiner, output_field=BooleanField()
        )
    )


def _ilike(column: Any, pattern: str) -> Expression:
    return _ILike(Lower(column), pattern.lower())


def in_document(column: str, key: str, op: str, value: Any) -> Q:
    """A condition on one key of a JSON object column of texts."""
    if op == "IS NULL":
        return ~Q(_Has(column, key))
    if op == "IS NOT NULL":
        return Q(_Has(column, key))
    text = compared(JsonText(column, key), op, value)
    # On PostgreSQL the index finds the rows; the comparison itself decides.
    return Q(_Has(column, key)) & text if op != "=" else Q(_Holds(column, key, value))
