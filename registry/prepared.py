"""Queries whose SQL the ORM writes once: for the few that every request asks.

Writing the SQL of a query costs Django several times what running it costs; see benchmarks/registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models

M = TypeVar("M", bound=models.Model)
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Statement:
    """SQL with its parameters, the places of those that change, and what turns columns into values."""

    sql: str
    parameters: tuple[Any, ...]
    places: tuple[tuple[int, str], ...]
    converters: tuple[tuple[int, list[Any], Any], ...]


class Prepared:
    """`build` makes the query set from stand-ins; `rows` runs its SQL with real values.

    `arguments` gives each argument's stand-in, a text or a number that the query compares a column with;
    no two are equal, and none is a constant of the query.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any, Any]], **arguments: str | int) -> None:
        self._build, self._arguments = build, arguments
        self._statements: dict[str, _Statement] = {}

    def rows(self, **values: str | int) -> list[Row]:
        """The rows as the query set's `values_list` would give them, all at once."""
        statement = self._statements.get(connection.vendor) or self._compiled()
        parameters = list(statement.parameters)
        for place, name in statement.places:
            parameters[place] = values[name]
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, parameters)
            rows: list[Row] = cursor.fetchall()
        if not (rows and statement.converters):
            return rows
        return [self._converted(statement, row) for row in rows]

    @staticmethod
    def _converted(statement: _Statement, row: Row) -> Row:
        values = list(row)
        for place, converters, expression in statement.converters:
            for converter in converters:
                values[place] = converter(values[place], expression, connection)
        return values

    def _compiled(self) -> _Statement:
        compiler = self._build(**self._arguments).query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        names = {stand_in: name for name, stand_in in self._arguments.items()}
        places = tuple((at, names[value]) for at, value in enumerate(parameters) if value in names)
        if {name for _, name in places} != set(self._arguments):
            raise AssertionError(f"not every argument is in {sql}")
        columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
        converters = tuple(
            (place, found, expression)
            for place, (found, expression) in compiler.get_converters(columns).items()
        )
        made = self._statements[connection.vendor] = _Statement(sql, tuple(parameters), places, converters)
        return made


class PreparedRows(Prepared, Generic[M]):
    """A prepared query for whole rows of a model, or for all but `without`."""

    def __init__(
        self,
        row: type[M],
        build: Callable[..., models.QuerySet[M, M]],
        /,
        *,
        without: Sequence[str] = (),
        **arguments: str | int,
    ) -> None:
        self.row = row
        self.columns = [f.attname for f in row._meta.concrete_fields if f.name not in without]
        super().__init__(lambda **given: build(**given).values_list(*self.columns), **arguments)

    def find(self, **values: str | int) -> list[M]:
        """The rows as instances."""
        return [self.row.from_db(DEFAULT_DB_ALIAS, self.columns, row) for row in self.rows(**values)]
