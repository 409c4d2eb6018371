"""Pages by key: a token says after which row to go on, so that it stays right while rows come and go."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core import signing
from django.db.models import F, Q, QuerySet
from django.utils.dateparse import parse_datetime

from registry.errors import Invalid


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order: a column that is never NULL, or an annotated expression under that name."""

    name: str
    descending: bool = False
    expression: Any = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page; `token` continues after it, "" on the last one."""

    rows: list[dict[str, Any]]
    token: str


def page(
    rows: QuerySet[Any], sorts: Sequence[Sort], columns: Sequence[str], *, limit: int, token: str
) -> Found:
    """`limit` rows as dictionaries of `columns`, in the order of `sorts`, whose last key must be unique."""
    # An annotation may not bear the name of a column.
    made = {sort.name: sort.expression for sort in sorts if sort.expression is not None}
    rows = rows.annotate(**made) if made else rows
    if token:
        rows = rows.filter(after(sorts, read_token(token, sorts)))
    names = dict.fromkeys([*columns, *(sort.name for sort in sorts)])
    items = list(ordered(rows, sorts).values(*names)[: limit + 1])
    if len(items) <= limit:
        return Found(items, "")
    last = items[limit - 1]
    return Found(items[:limit], write_token(sorts, [last[sort.name] for sort in sorts]))


def ordered(rows: QuerySet[Any], sorts: Sequence[Sort]) -> QuerySet[Any]:
    """The rows in the order of `sorts`."""
    return rows.order_by(*(F(sort.name).desc() if sort.descending else F(sort.name).asc() for sort in sorts))


def after(sorts: Sequence[Sort], values: Sequence[Any]) -> Q:
    """The rows that come after the one with these values of the sort keys."""
    condition, equal = Q(), Q()
    for sort, value in zip(sorts, values, strict=True):
        further = Q(**{f"{sort.name}__{'lt' if sort.descending else 'gt'}": value})
        condition |= equal & further
        equal &= Q(**{sort.name: value})
    # Said once more without OR, so that an index on the first key is used.
    first = sorts[0]
    return condition & Q(**{f"{first.name}__{'lte' if first.descending else 'gte'}": values[0]})


def write_token(sorts: Sequence[Sort], values: Sequence[Any]) -> str:
    """The token that continues after the row with these values of the sort keys; it is sealed, so that the
    values that come back are of the types that the database compares."""
    plain = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in values]
    return _seal().sign(base64.urlsafe_b64encode(json.dumps([_mark(sorts), plain]).encode()).decode())


def read_token(token: str, sorts: Sequence[Sort]) -> list[Any]:
    """The values that `write_token` wrote; `Invalid` for anything else, or for another order."""
    try:
        mark, values = json.loads(base64.urlsafe_b64decode(_seal().unsign(token)))
        values = [_time(value["at"]) if isinstance(value, dict) else value for value in values]
        fits = mark == _mark(sorts) and len(values) == len(sorts)
    except signing.BadSignature:
        fits = False
    if not fits:
        raise Invalid("Invalid page token: it does not belong to this search.", field="page_token")
    return list(values)


def _seal() -> signing.Signer:
    return signing.Signer(salt="registry.mlflow.page")


def _time(text: str) -> datetime:
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _mark(sorts: Sequence[Sort]) -> int:
    """The same order gives the same mark; a token of another order is refused."""
    return zlib.crc32(repr([(sort.name, sort.descending) for sort in sorts]).encode())
