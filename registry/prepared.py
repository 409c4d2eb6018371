"""Queries whose SQL the ORM writes once: for the few that every request asks.

Writing the SQL of a query costs Django several times what running it costs; see benchmarks/registry.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from registry import statements
from registry.statements import Row

M = TypeVar("M", bound=models.Model)
# A statement that writes, with its parameters. Where it says {going}, a condition may be put in.
Write = tuple[str, Sequence[Any]]
GOING = "going"


@dataclass(frozen=True, slots=True)
class Written:
    """SQL with its parameters, and by the place of a column what turns it into a value."""

    sql: str
    parameters: tuple[Any, ...]
    converters: Mapping[int, tuple[Sequence[Any], Any]]

    def value(self, row: Row, place: int) -> Any:
        """The column as the query set would give it."""
        value = row[place]
        converters, expression = self.converters.get(place, ((), None))
        for converter in converters:
            value = converter(value, expression, connection)
        return value


# For a condition that no row can meet, such as a number beyond what the column holds.
_NOTHING = Written("SELECT 1 WHERE 1 = 0", (), {})


def written(rows: models.QuerySet[Any, Any]) -> Written:
    """The query set's SQL, for `statements.rows`."""
    compiler = rows.query.get_compiler(connection=connection)
    try:
        sql, parameters = compiler.as_sql()
    except EmptyResultSet:
        return _NOTHING
    columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
    return Written(sql, tuple(parameters), compiler.get_converters(columns))


# Queries of the same values that are remembered; clients ask the same few questions again and again.
_REMEMBERED = 500
_known: dict[Hashable, Written] = {}


def remembered(key: Hashable, make: Callable[[], models.QuerySet[Any, Any]]) -> Written:
    """The query set's SQL, written once for each key; all of it, values too, follows from the key."""
    known = (connection.vendor, key)
    found = _known.get(known)
    if found is None:
        if len(_known) >= _REMEMBERED:
            _known.clear()
        found = _known[known] = written(make())
    return found


@dataclass(frozen=True, slots=True)
class _Statement:
    """A query with the places of the parameters that change."""

    query: Written
    places: tuple[tuple[int, str], ...]


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
        query = statement.query
        parameters = list(query.parameters)
        for place, name in statement.places:
            parameters[place] = values[name]
        rows = statements.rows(query.sql, parameters)
        if not (rows and query.converters):
            return rows
        return [self._converted(query, row) for row in rows]

    @staticmethod
    def _converted(query: Written, row: Row) -> Row:
        values = list(row)
        for place in query.converters:
            values[place] = query.value(row, place)
        return values

    def _compiled(self) -> _Statement:
        query = written(self._build(**self._arguments))
        names = {stand_in: name for name, stand_in in self._arguments.items()}
        places = tuple((at, names[value]) for at, value in enumerate(query.parameters) if value in names)
        if {name for _, name in places} != set(self._arguments):
            raise AssertionError(f"not every argument is in {query.sql}")
        made = self._statements[connection.vendor] = _Statement(query, places)
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


class PreparedInsert(Generic[M]):
    """`save(force_insert=True)` of a new row, its SQL written once. Sends no signals."""

    def __init__(self, row: type[M]) -> None:
        meta = row._meta
        key = meta.pk
        assert key is not None
        self.generated = isinstance(key, models.AutoField)
        self.fields = [field for field in meta.concrete_fields if not (self.generated and field is key)]
        columns = ", ".join(str(field.column) for field in self.fields)
        places = ", ".join(["%s"] * len(self.fields))
        self.sql = f"INSERT INTO {meta.db_table} ({columns}) VALUES ({places})"
        self.key = key
        inserted = f"INSERT INTO {meta.db_table} ({columns}) SELECT {places}"
        self._going = f"{inserted} WHERE {{{GOING}}} RETURNING {key.column}"

    def parameters(self, row: M) -> list[Any]:
        """What the row's columns hold, as the database takes it."""
        return _values(self.fields, row, adding=True)

    def save(self, row: M) -> None:
        """Write the row; its key is known afterwards."""
        if self.generated:
            found = statements.row(f"{self.sql} RETURNING {self.key.column}", self.parameters(row))
            assert found is not None
            self.saved(row, found[0])
        else:
            statements.run(self.sql, self.parameters(row))
            self.saved(row, row.pk)

    def write(self, row: M) -> Write:
        """What `save` does, to be done elsewhere; it returns the key, and `saved` is to be told."""
        return self._going, self.parameters(row)

    def saved(self, row: M, key: Any) -> None:
        """The row is in the database under that key."""
        row.pk = key
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


class PreparedUpdate(Generic[M]):
    """`save(update_fields=…)`, its SQL written once. Sends no signals."""

    def __init__(self, row: type[M], *names: str) -> None:
        meta = row._meta
        assert meta.pk is not None
        self.fields: list[Any] = [meta.get_field(name) for name in names]
        changes = ", ".join(f"{field.column} = %s" for field in self.fields)
        self.sql = f"UPDATE {meta.db_table} SET {changes} WHERE {meta.pk.column} = %s"
        self._going = f"{self.sql} AND {{{GOING}}} RETURNING {meta.pk.column}"

    def save(self, row: M) -> None:
        """Write these columns of the row, which is there."""
        statements.run(self.sql, self._parameters(row))

    def write(self, row: M) -> Write:
        """What `save` does, to be done elsewhere; it returns the key."""
        return self._going, self._parameters(row)

    def stored(self, name: str, value: Any) -> Any:
        """A value of the column as the database takes it, for a comparison."""
        field = next(field for field in self.fields if field.name == name)
        return field.get_db_prep_save(value, connections[DEFAULT_DB_ALIAS])

    def _parameters(self, row: M) -> list[Any]:
        return [*_values(self.fields, row, adding=False), row.pk]


# Columns whose values psycopg takes as they are in the row.
_PLAIN = {
    models.BigIntegerField,
    models.CharField,
    models.FloatField,
    models.ForeignKey,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.TextField,
}


def _values(fields: Sequence[Any], row: models.Model, *, adding: bool) -> list[Any]:
    real = connections[DEFAULT_DB_ALIAS]
    if real.vendor != "postgresql":
        return [field.get_db_prep_save(field.pre_save(row, adding), real) for field in fields]
    return [
        getattr(row, field.attname)
        if type(field) in _PLAIN
        else field.get_db_prep_save(field.pre_save(row, adding), real)
        for field in fields
    ]
