"""Pages of versions as documents straight from columns: JSON in the database is not parsed on its way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
from django.db.models import JSONField, QuerySet, TextField
from django.db.models.functions import Cast

from registry.api.documents import SAID
from registry.models import Alias, LatestMetric, Version
from registry.queries import MAX_PAGE, Page

_JSON = [name for name in SAID if isinstance(Version._meta.get_field(name), JSONField)]
_PLAIN = [name for name in SAID if name not in _JSON]
_COLUMNS = ["id", "model__name", "parent__number", "number", *_PLAIN]


def summaries(
    rows: QuerySet[Version], limit: int, key: Callable[[dict[str, Any]], str]
) -> Page[dict[str, Any]]:
    """The first `limit` of the ordered rows as `documents.version_summary` would show them; 3 queries.

    `key` is the place of a document in the list; its `id` is there for it and then taken away.
    """
    limit = max(1, min(limit, MAX_PAGE))
    texts = [Cast(name, TextField()) for name in _JSON]
    found = list(rows.values_list(*_COLUMNS, *texts)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    items = [_document(row) for row in found]
    _add_relations({item["id"]: item for item in items})
    following = key(items[-1]) if more else None
    for item in items:
        del item["id"]
    return Page(items, following)


def _document(row: tuple[Any, ...]) -> dict[str, Any]:
    at = len(_COLUMNS)
    document = {
        "id": row[0],
        "model": row[1],
        "number": row[3],
        "parent": row[2],
        "metrics": {},
        "aliases": [],
    }
    document.update(zip(_PLAIN, row[4:at], strict=True))
    document.update(
        (name, text and orjson.Fragment(text)) for name, text in zip(_JSON, row[at:], strict=True)
    )
    return document


def _add_relations(items: dict[int, dict[str, Any]]) -> None:
    metrics: dict[int, dict[str, float]] = defaultdict(dict)
    latest = LatestMetric.objects.filter(version__in=items).order_by("name")
    for pk, name, value in latest.values_list("version_id", "name", "value"):
        metrics[pk][name] = value
    for pk, held in metrics.items():
        items[pk]["metrics"] = held
    named = Alias.objects.filter(version__in=items).order_by("name")
    for pk, name in named.values_list("version_id", "name"):
        items[pk]["aliases"].append(name)
