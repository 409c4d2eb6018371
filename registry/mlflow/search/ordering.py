"""Clauses of order_by as sort keys with their tie-breaks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Case, F, IntegerField, Value, When
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from registry.errors import Invalid
from registry.mlflow.search.grammar import Order, parse_order
from registry.mlflow.search.paging import Sort
from registry.mlflow.search.vocabulary import KINDS

# How to sort by what is not a column: (kind, key) -> an expression that may be NULL, and a filler for it.
Extra = Callable[[str, str], tuple[Any, Any]]


def sorts_of(
    clauses: Sequence[str],
    columns: Mapping[str, str],
    *,
    ties: Sequence[tuple[str, bool]],
    extra: Extra | None = None,
    nullable: Mapping[str, Any] | None = None,
) -> list[Sort]:
    """Sort keys for the clauses, then for those of `ties` that are not there yet: (column, descending).

    `columns` maps attributes to columns; `nullable` gives the filler of those that may be NULL, which come
    last in either direction.
    """
    sorts: list[Sort] = []
    for number, order in enumerate(parse_order(list(clauses))):
        sorts += _keys(order, number, columns, extra, nullable or {})
    there = {sort.name for sort in sorts}
    return [*sorts, *(Sort(name, descending) for name, descending in ties if name not in there)]


def _keys(
    order: Order, number: int, columns: Mapping[str, str], extra: Extra | None, nullable: Mapping[str, Any]
) -> list[Sort]:
    kind = KINDS.get(order.kind)
    name = name_of(number, str(kind), order.key)
    if kind == "attribute" and order.key in columns:
        column = columns[order.key]
        if column not in nullable:
            return [Sort(column, order.descending)]
        return nulls_last(name, F(column), nullable[column], order.descending)
    if extra is not None and kind in {"metric", "param", "tag"}:
        expression, filler = extra(kind, order.key)
        return nulls_last(name, expression, filler, order.descending)
    shown = ascii(f"{order.kind}.{order.key}".strip(".")[:80])
    raise Invalid(
        f"Invalid order_by key {shown} specified. Valid keys are {sorted(columns)}.", field="order_by"
    )


def name_of(number: int, *what: str) -> str:
    """A name for the key of a clause, another one for each thing that is sorted by: page tokens are told
    apart by the names of the keys that they belong to."""
    return f"o{number}_{zlib.crc32(repr(what).encode()):08x}"


def nulls_last(name: str, expression: Any, filler: Any, descending: bool) -> list[Sort]:
    """Two keys that are never NULL: whether it is missing (0, 1), and its value."""
    missing = Case(
        When(IsNull(expression, True), then=Value(1)), default=Value(0), output_field=IntegerField()
    )
    return [
        Sort(f"{name}_missing", False, missing),
        Sort(f"{name}_value", descending, Coalesce(expression, filler)),
    ]
