"""The reads that clients do before almost everything else, each as one statement written out.

Their cost does not grow with the number of versions: the newest version of each stage is found by an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection
from django.utils.dateparse import parse_datetime

from registry.models.origin import STAGES

VERSION_FIELDS = (
    "model_id", "name", "owner_team", "number", "created_at", "updated_at", "stage", "notes", "source",
    "resolved_source", "training_run", "run_link", "logged_model", "state", "problem", "tags",
)  # fmt: skip
_OF_MODEL = {"name", "owner_team"}
_COLUMNS = ", ".join(f"{'m' if name in _OF_MODEL else 'v'}.{name}" for name in VERSION_FIELDS)
_JOINED = "FROM registry_version v JOIN registry_model m ON m.id = v.model_id"
_LIVE = "m.deleted_at IS NULL AND v.deleted_at IS NULL"
_NAMES = "CAST((SELECT {agg}(a.name) FROM registry_alias a WHERE a.version_id = v.id) AS text)"
_VERSION = f"SELECT {_COLUMNS}, {_NAMES} {_JOINED} WHERE m.name = %s AND v.number = %s AND {_LIVE}"
_BY_ALIAS = (
    f"SELECT {_COLUMNS}, {_NAMES} {_JOINED} JOIN registry_alias b ON b.version_id = v.id "
    f"WHERE m.name = %s AND b.name = %s AND b.model_id = m.id AND {_LIVE}"
)
_NEWEST = (
    f"SELECT {_COLUMNS}, {_NAMES} {_JOINED} WHERE m.name = %s AND {_LIVE} ORDER BY v.number DESC LIMIT 1"
)
_MODEL = (
    "SELECT m.id, m.name, m.owner_team, m.created_at, m.updated_at, m.description, m.tags, CAST(("
    "SELECT {agg}({obj}('alias', a.name, 'version', CAST(v.number AS text))) FROM registry_alias a "
    "JOIN registry_version v ON v.id = a.version_id WHERE a.model_id = m.id) AS text) "
    "FROM registry_model m WHERE m.name = %s AND m.deleted_at IS NULL"
)
_LATEST = (
    f"SELECT {_COLUMNS}, {{names}} {_JOINED} WHERE v.id IN (SELECT (SELECT x.id FROM registry_version x "
    "WHERE x.model_id = n.id AND x.stage = s.stage AND x.deleted_at IS NULL ORDER BY x.number DESC LIMIT 1) "
    "FROM registry_model n CROSS JOIN (SELECT {stages}) s WHERE n.id IN ({ids}))"
)
_STAGES = " UNION ALL SELECT ".join(f"'{stage}' AS stage" for stage in STAGES)
_ALIASES = (
    "SELECT a.model_id, a.name, v.number FROM registry_alias a "
    "JOIN registry_version v ON v.id = a.version_id WHERE a.model_id IN ({ids}) ORDER BY a.name"
)
_FUNCTIONS = {
    "postgresql": {"agg": "json_agg", "obj": "json_build_object"},
    "sqlite": {"agg": "json_group_array", "obj": "json_object"},
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A live model; `aliases` is JSON text, [{"alias", "version"}…], or None."""

    id: int
    name: str
    owner_team: str
    created_at: datetime
    updated_at: datetime
    description: str
    tags: Mapping[str, str]
    aliases: str | None


def model_row(name: str) -> ModelRow | None:
    """The live model of that name."""
    row = _one(_MODEL, [name])
    if row is None:
        return None
    key, name, team, created, updated, description, tagged, aliases = row
    return ModelRow(key, name, team, when(created), when(updated), description, tags(tagged), aliases)


def version_row(name: str, number: int) -> dict[str, Any] | None:
    """A live version with the names of its aliases, under the names of `VERSION_FIELDS` and `aliases`."""
    return _version(_one(_VERSION, [name, number]))


def version_row_by_alias(name: str, alias: str) -> dict[str, Any] | None:
    """The live version an alias points at."""
    return _version(_one(_BY_ALIAS, [name, alias]))


def newest_version_row(name: str) -> dict[str, Any] | None:
    """The live version of the highest number."""
    return _version(_one(_NEWEST, [name]))


def latest_versions(ids: Sequence[int], *, with_aliases: bool = False) -> dict[int, list[dict[str, Any]]]:
    """The newest version of each stage for each of the models, by the models' ids."""
    if not ids:
        return {}
    names = _NAMES if with_aliases else "NULL"
    sql = _LATEST.replace("{names}", names).replace("{stages}", _STAGES).replace("{ids}", _places(ids))
    found: dict[int, list[dict[str, Any]]] = {key: [] for key in ids}
    for row in _all(sql, list(ids)):
        found[row[0]].append(_shaped(row))
    return found


def aliases_of(ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """Aliases as (name, version number) for each of the models, by the models' ids."""
    found: dict[int, list[tuple[str, int]]] = {key: [] for key in ids}
    if ids:
        for key, name, number in _all(_ALIASES.replace("{ids}", _places(ids)), list(ids)):
            found[key].append((name, number))
    return found


def when(value: Any) -> datetime:
    """A time as a cursor gives it: SQLite's are texts in UTC."""
    if isinstance(value, str):
        parsed = parse_datetime(value)
        assert parsed is not None
        value = parsed
    at: datetime = value
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def tags(value: Any) -> Mapping[str, str]:
    """A JSON column as a cursor gives it."""
    found: Mapping[str, str] = orjson.loads(value) if isinstance(value, str | bytes) else value
    return found


def _version(row: Sequence[Any] | None) -> dict[str, Any] | None:
    return None if row is None else _shaped(row)


def _shaped(row: Sequence[Any]) -> dict[str, Any]:
    shaped = dict(zip(VERSION_FIELDS, row, strict=False))
    shaped["created_at"], shaped["updated_at"] = when(shaped["created_at"]), when(shaped["updated_at"])
    shaped["tags"] = tags(shaped["tags"])
    shaped["problem"] = tags(shaped["problem"]) if shaped["problem"] else None
    shaped["aliases"] = orjson.loads(row[-1]) if row[-1] else []
    return shaped


def _places(ids: Sequence[int]) -> str:
    return ", ".join(["%s"] * len(ids))


def _one(sql: str, parameters: list[Any]) -> Sequence[Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(_spelt(sql), parameters)
        row: Sequence[Any] | None = cursor.fetchone()
    return row


def _all(sql: str, parameters: list[Any]) -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_spelt(sql), parameters)
        return list(cursor.fetchall())


def _spelt(sql: str) -> str:
    for name, function in _FUNCTIONS[connection.vendor].items():
        sql = sql.replace(f"{{{name}}}", function)
    return sql
