"""From a parsed filter to a Django query: which fields there are, and what each may be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Exists, F, Func, JSONField, OuterRef, Q, Value
from django.db.models.fields.json import (
    KeyTextTransform,
    KeyTransform,
    KeyTransformExact,
)
from django.db.models.lookups import (
    GreaterThan,
    GreaterThanOrEqual,
    IContains,
    LessThan,
    LessThanOrEqual,
)

from registry.domain.filters import All, Any_, Comparison, Not, Scalar, Tree, parse
from registry.domain.moments import moment_of
from registry.errors import Invalid
from registry.models import Alias, LatestMetric

Compile = Callable[[Comparison], Q]
_ORDER = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_JSON_ORDER = {"<": LessThan, "<=": LessThanOrEqual, ">": GreaterThan, ">=": GreaterThanOrEqual}
_LARGEST = 2**63 - 1


def model_filter(text: str) -> Q:
    """A filter of `Model` rows; empty lets every row through. `Invalid` says what is wrong with it."""
    return _filter(text, _MODEL)


def version_filter(text: str) -> Q:
    """A filter of `Version` rows."""
    return _filter(text, _VERSION)


def _filter(text: str, fields: Mapping[str, Compile]) -> Q:
    return _query(parse(text), fields) if text.strip() else Q()


def _query(tree: Tree, fields: Mapping[str, Compile]) -> Q:
    if isinstance(tree, Not):
        return ~_query(tree.part, fields)
    if isinstance(tree, All | Any_):
        combined = Q()
        for part in tree.parts:
            found = _query(part, fields)
            combined = combined & found if isinstance(tree, All) else combined | found
        return combined
    compile_ = fields.get(tree.field)
    if compile_ is None:
        known = ", ".join(fields)
        raise Invalid(f"{tree.field!r} is not a field.", field="filter", hint=f"Fields: {known}.")
    return compile_(tree)


def _text(column: str, said: Comparison) -> Q:
    """Text: = != ~ (contains, whatever the case) !~ in exists (is not empty)."""
    _keyless(said)
    if said.op == "exists":
        return ~Q(**{column: ""})
    if said.op == "in":
        return Q(**{f"{column}__in": [_as_text(said, value) for value in _values(said)]})
    value = _as_text(said, said.value)
    if said.op in {"=", "!="}:
        equal = Q(**{column: value})
        return equal if said.op == "=" else ~equal
    if said.op in {"~", "!~"}:
        holds = Q(**{f"{column}__icontains": value})
        return holds if said.op == "~" else ~holds
    raise _wrong(said, "a text", "= != ~ !~ in exists")


def _number(column: str, said: Comparison) -> Q:
    """Whole numbers: = != < <= > >= in."""
    _keyless(said)
    if said.op == "in":
        return Q(**{f"{column}__in": [_as_whole(said, value) for value in _values(said)]})
    return _ordered(column, said, _as_whole(said, said.value), "a number")


def _moment(column: str, said: Comparison) -> Q:
    """Moments as texts, `2026-03-01` or `2026-03-01T12:00:00Z`: = != < <= > >=."""
    _keyless(said)
    return _ordered(column, said, _as_moment(said), "a moment")


def _ordered(column: str, said: Comparison, value: Any, what: str) -> Q:
    if said.op in {"=", "!="}:
        equal = Q(**{column: value})
        return equal if said.op == "=" else ~equal
    if said.op in _ORDER:
        return Q(**{f"{column}__{_ORDER[said.op]}": value})
    raise _wrong(said, what, "= != < <= > >=")


def _tags(said: Comparison) -> Q:
    """A tag's text: = != ~ !~ in exists. All but `exists` ask for a version that has the tag."""
    key = _key(said)
    if said.op == "exists":
        return Q(tags__has_key=key)
    if said.op in {"=", "in"}:
        values = [_as_text(said, v) for v in (_values(said) if said.op == "in" else (said.value,))]
        return _any(_tagged(key, value) for value in values)
    if said.op == "!=":
        return Q(tags__has_key=key) & ~_tagged(key, _as_text(said, said.value))
    if said.op in {"~", "!~"}:
        holds = Q(IContains(KeyTextTransform(key, "tags"), _as_text(said, said.value)))
        return Q(tags__has_key=key) & (holds if said.op == "~" else ~holds)
    raise _wrong(said, "a tag", "= != ~ !~ in exists")


def _parameters(said: Comparison) -> Q:
    """A hyper-parameter of any JSON type: = != in exists; numbers also < <= > >=."""
    key, column = _key(said), "hyperparameters"
    if said.op == "exists":
        return Q(hyperparameters__has_key=key)
    if said.op in {"=", "in"}:
        return _any(
            _json_equal(column, key, v) for v in (_values(said) if said.op == "in" else (said.value,))
        )
    if said.op == "!=":
        return Q(hyperparameters__has_key=key) & ~_json_equal(column, key, said.value)
    if said.op in _JSON_ORDER:
        stored, number = KeyTransform(key, column), _as_number(said, said.value)
        json = JSONField() if connection.vendor == "postgresql" else None
        holds = Q(_IsNumber(stored)) & Q(_JSON_ORDER[said.op](stored, Value(number, json)))
        return Q(hyperparameters__has_key=key) & holds
    raise _wrong(said, "a parameter", "= != < <= > >= in exists")


def _metrics(said: Comparison) -> Q:
    """The last value of a metric: = != < <= > >= in exists; all ask for a version that has the metric."""
    rows = LatestMetric.objects.filter(version=OuterRef("pk"), name=_key(said))
    if said.op == "exists":
        return Q(Exists(rows))
    if said.op == "in":
        return Q(Exists(rows.filter(value__in=[_as_number(said, value) for value in _values(said)])))
    return Q(Exists(rows.filter(_ordered("value", said, _as_number(said, said.value), "a metric"))))


def _alias(link: str, said: Comparison) -> Q:
    """An alias of the row: = != ~ !~ in exists; `!=` means that no alias of it has the name."""
    _keyless(said)
    rows = Alias.objects.filter(**{link: OuterRef("pk")})
    if said.op == "exists":
        return Q(Exists(rows))
    negative = {"!=": "=", "!~": "~"}.get(said.op)
    found = Q(Exists(rows.filter(_text("name", Comparison("alias", None, negative or said.op, said.value)))))
    return ~found if negative else found


class _IsNumber(Func):
    """Whether a JSON value is a number."""

    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template="(jsonb_typeof(%(expressions)s) = 'number')")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(typeof(%(expressions)s) IN ('integer', 'real'))"
        return super().as_sql(compiler, connection, template=template)


class _HasPair(Func):
    """Whether `tags` holds a pair, as the index of migration 0015 knows it; on PostgreSQL only."""

    output_field = BooleanField()
    arg_joiner = ") @> ARRAY["

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:  # type: ignore[override]
        return super().as_sql(compiler, connection, template="(slipway_pairs(%(expressions)s]::text[])")


class _Contains(Func):
    """Whether a document contains another; on PostgreSQL only. A function where `@>` would be an operator,
    whose guess at how few rows fit would spoil the plan."""

    function = "jsonb_contains"
    output_field = BooleanField()


def _tagged(key: str, value: str) -> Q:
    """Whether the tag has this value."""
    if connection.vendor == "postgresql":
        # Both say the same. The index knows pairs and how frequent they are, but a row that is walked over
        # is told a hundred times faster by what it contains, which is asked first.
        pair = _HasPair(F("tags"), Value(f"{len(key)}:{key}{value}"))
        return Q(_Contains(F("tags"), Value({key: value}, JSONField()))) & Q(pair)
    return _json_equal("tags", key, value)


def _json_equal(column: str, key: str, value: Any) -> Q:
    """Whether the document's `key` is the value; on PostgreSQL by containment, which an index answers."""
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__contains": {key: value}})
    # NULL would be neither true nor false, and its negation too.
    return Q(**{f"{column}__has_key": key}) & Q(
        KeyTransformExact(KeyTransform(key, column), Value(value, JSONField()))
    )


def _any(parts: Any) -> Q:
    combined = Q(pk__in=())
    for part in parts:
        combined |= part
    return combined


def _keyless(said: Comparison) -> None:
    if said.key is not None:
        raise Invalid(f"{said.field!r} has no parts.", field="filter", hint=f"Write {said.field} alone.")


def _key(said: Comparison) -> str:
    if said.key is None:
        raise Invalid(f"Say which of the {said.field}.", field="filter", hint=f"Write {said.field}.name.")
    return said.key


def _values(said: Comparison) -> tuple[Scalar, ...]:
    assert isinstance(said.value, tuple)
    return said.value


def _as_text(said: Comparison, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise Invalid(f"{said.field} is compared with a text, in quotes.", field="filter")


def _as_number(said: Comparison, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return value
    raise Invalid(f"{said.field} is compared with a number.", field="filter")


def _as_whole(said: Comparison, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Invalid(f"{said.field} is compared with a whole number.", field="filter")


def _as_moment(said: Comparison) -> datetime:
    moment = moment_of(said.value, zoned=False)
    if moment is None:
        raise Invalid(
            f"{said.field} is compared with a moment.", field="filter", hint='Write "2026-03-01T12:00:00Z".'
        )
    return moment


def _wrong(said: Comparison, what: str, operators: str) -> Invalid:
    return Invalid(
        f"{said.field} is {what}, which knows no {said.op!r}.", field="filter", hint=f"It knows {operators}."
    )


_MODEL: dict[str, Compile] = {
    "name": partial(_text, "name"),
    "team": partial(_text, "owner_team"),
    "description": partial(_text, "description"),
    "created_by": partial(_text, "created_by"),
    "versions": partial(_number, "last_number"),
    "created": partial(_moment, "created_at"),
    "updated": partial(_moment, "updated_at"),
    "alias": partial(_alias, "model"),
    "tags": _tags,
}
_VERSION: dict[str, Compile] = {
    "model": partial(_text, "model__name"),
    "team": partial(_text, "model__owner_team"),
    "number": partial(_number, "number"),
    "parent": partial(_number, "parent__number"),
    "size": partial(_number, "size"),
    "created": partial(_moment, "created_at"),
    "alias": partial(_alias, "version"),
    "tags": _tags,
    "params": _parameters,
    "metrics": _metrics,
    "run": partial(_text, "training_run"),
    "dataset": partial(_text, "dataset_ref"),
    **{
        name: partial(_text, name)
        for name in (
            "label", "digest", "format", "framework", "git_sha", "dataset_digest", "created_by", "notes",
            "feature_schema_version", "filename",
        )
    },
}  # fmt: skip
MODEL_FIELDS, VERSION_FIELDS = tuple(_MODEL), tuple(_VERSION)
