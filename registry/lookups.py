"""The reads that clients do before almost everything else, each as one statement written out.

Their cost does not grow with the number of versions: the newest version of each stage is found by an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils.dateparse import parse_datetime

from registry import statements
from registry.models import Model, Version
from registry.models.origin import STAGES
from registry.prepared import Prepared, PreparedRows

VERSION_FIELDS = (
    "model_id", "name", "owner_team", "number", "created_ms", "updated_ms", "stage", "notes", "source",
    "resolved_source", "training_run", "run_link", "logged_model", "state", "problem", "tags",
)  # fmt: skip
_OF_MODEL = {"name", "owner_team"}
# A time is read as whole milliseconds, which cost less on the way than a date; SQLite's are converted here.
_TIMES = {"created_ms": "{ms}v.created_at{sm}", "updated_ms": "{ms}v.updated_at{sm}"}
_COLUMNS = ", ".join(
    _TIMES.get(name, f"{'m' if name in _OF_MODEL else 'v'}.{name}") for name in VERSION_FIELDS
)
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
    "SELECT m.id, m.name, m.owner_team, {ms}m.created_at{sm}, {ms}m.updated_at{sm}, m.description, "
    "m.tags, CAST(("
    "SELECT {agg}({obj}('alias', a.name, 'version', CAST(v.number AS text))) FROM registry_alias a "
    "JOIN registry_version v ON v.id = a.version_id WHERE a.model_id = m.id) AS text) "
    "FROM registry_model m WHERE m.name = %s AND m.deleted_at IS NULL"
)
_MODEL_KEY = "SELECT id FROM registry_model WHERE name = %s AND deleted_at IS NULL"
_LATEST = (
    f"SELECT {_COLUMNS}, {{names}} {_JOINED} WHERE v.id IN (SELECT (SELECT x.id FROM registry_version x "
    "WHERE x.model_id = n.id AND x.stage = s.stage AND x.deleted_at IS NULL ORDER BY x.number DESC LIMIT 1) "
    "FROM registry_model n CROSS JOIN (SELECT {stages}) s WHERE n.id IN ({ids}))"
)
# The same, each newest version read where the index finds it.
_LATERAL = (
    f"SELECT {_COLUMNS}, {{names}} FROM registry_model m CROSS JOIN (SELECT {{stages}}) s "
    "CROSS JOIN LATERAL (SELECT * FROM registry_version x WHERE x.model_id = m.id AND x.stage = s.stage "
    "AND x.deleted_at IS NULL ORDER BY x.number DESC LIMIT 1) v WHERE m.id IN ({ids})"
)
_STAGES = " UNION ALL SELECT ".join(f"'{stage}' AS stage" for stage in STAGES)
_ALIASES = (
    "SELECT a.model_id, a.name, v.number FROM registry_alias a "
    "JOIN registry_version v ON v.id = a.version_id WHERE a.model_id IN ({ids}) ORDER BY a.name"
)
_LIVE_MODEL = PreparedRows(
    Model, lambda name: Model.objects.filter(name=name, deleted_at=None).order_by(), name="@name"
)
_KEYS_OF_MODEL = [f.attname for f in Model._meta.concrete_fields if f.name in {"id", "name", "owner_team"}]
_NAMED_MODEL = Prepared(
    lambda name: Model.objects.filter(name=name, deleted_at=None).order_by().values_list(*_KEYS_OF_MODEL),
    name="@name",
)
_LARGE = {"profile", "inspection", "signature", "findings", "hyperparameters", "dependencies"}
_OF_VERSION = [f.attname for f in Version._meta.concrete_fields if f.name not in _LARGE]
_OF_ITS_MODEL = [field.attname for field in Model._meta.concrete_fields]
# Enough to say which version is meant, whose it is, and whether it is ready.
_KEYS_OF_VERSION = [f.attname for f in Version._meta.concrete_fields if f.name in {"id", "number", "state"}]


def _with_model(columns: Sequence[str], of_model: Sequence[str]) -> Prepared:
    return Prepared(
        lambda name, number: (
            Version.objects.filter(model__name=name, model__deleted_at=None, number=number, deleted_at=None)
            .order_by()
            .values_list(*columns, *(f"model__{column}" for column in of_model))
        ),
        name="@name",
        number=1_000_000_001,
    )


_LIVE_VERSION = _with_model(_OF_VERSION, _OF_ITS_MODEL)
_NAMED_VERSION = _with_model(_KEYS_OF_VERSION, _KEYS_OF_MODEL)
_FUNCTIONS = {
    "postgresql": {
        "agg": "json_agg",
        "obj": "json_build_object",
        # In floating point: exact to less than a microsecond, at a fraction of what `extract` costs.
        "ms": "floor(date_part('epoch', ",
        "sm": ") * 1000 + 0.0005)::bigint",
    },
    "sqlite": {"agg": "json_group_array", "obj": "json_object", "ms": "", "sm": ""},
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A live model; `aliases` is JSON text, [{"alias", "version"}…], or None."""

    id: int
    name: str
    owner_team: str
    created_ms: int
    updated_ms: int
    description: str
    tags: Mapping[str, str]
    aliases: str | None


def model(name: str) -> Model | None:
    """The live model of that name, as an instance."""
    # PostgreSQL would refuse a NUL with an error of its own.
    return None if "\x00" in name else next(iter(_LIVE_MODEL.find(name=name)), None)


def model_key(name: str) -> int | None:
    """The key of the live model of that name."""
    row = None if "\x00" in name else statements.row(_MODEL_KEY, [name])
    return None if row is None else int(row[0])


def model_named(name: str) -> Model | None:
    """The live model of that name: key, name and team; the rest is read when it is asked for."""
    rows = () if "\x00" in name else _NAMED_MODEL.rows(name=name)
    return next(map(owner, rows), None)


def owner(keys: Sequence[Any]) -> Model:
    """A model of its key, name and team."""
    return Model.from_db(DEFAULT_DB_ALIAS, _KEYS_OF_MODEL, keys)


def version(name: str, number: int) -> Version | None:
    """A live version with its model, as an instance without the largest columns."""
    return _instance(_LIVE_VERSION, _OF_VERSION, _OF_ITS_MODEL, name, number)


def version_named(name: str, number: int) -> Version | None:
    """A live version with its model: keys, names, state and team; the rest is read when it is asked for."""
    return _instance(_NAMED_VERSION, _KEYS_OF_VERSION, _KEYS_OF_MODEL, name, number)


def _instance(
    query: Prepared, columns: Sequence[str], of_model: Sequence[str], name: str, number: int
) -> Version | None:
    for row in () if "\x00" in name else query.rows(name=name, number=number):
        found = Version.from_db(DEFAULT_DB_ALIAS, columns, row[: len(columns)])
        found.model = Model.from_db(DEFAULT_DB_ALIAS, of_model, row[len(columns) :])
        return found
    return None


def model_row(name: str) -> ModelRow | None:
    """The live model of that name."""
    row = _one(_MODEL, [name])
    if row is None:
        return None
    key, name, team, created, updated, description, tagged, aliases = row
    return ModelRow(key, name, team, millis(created), millis(updated), description, tags(tagged), aliases)


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
    sql = _LATERAL if connection.vendor == "postgresql" else _LATEST
    sql = sql.replace("{names}", names).replace("{stages}", _STAGES)
    found: dict[int, list[dict[str, Any]]] = {key: [] for key in ids}
    for row in _all(sql, ids):
        found[row[0]].append(_shaped(row))
    return found


def aliases_of(ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """Aliases as (name, version number) for each of the models, by the models' ids."""
    found: dict[int, list[tuple[str, int]]] = {key: [] for key in ids}
    if ids:
        for key, name, number in _all(_ALIASES, ids):
            found[key].append((name, number))
    return found


def millis(value: Any) -> int:
    """Milliseconds since 1970 of a time as a cursor gives it: as such, or SQLite's text in UTC."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        parsed = parse_datetime(value)
        assert parsed is not None
        value = parsed
    at: datetime = value
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def tags(value: Any) -> Mapping[str, str]:
    """A JSON column as a cursor gives it."""
    found: Mapping[str, str] = orjson.loads(value) if isinstance(value, str | bytes) else value
    return found


def _version(row: Sequence[Any] | None) -> dict[str, Any] | None:
    return None if row is None else _shaped(row)


def _shaped(row: Sequence[Any]) -> dict[str, Any]:
    shaped = dict(zip(VERSION_FIELDS, row, strict=False))
    shaped["created_ms"], shaped["updated_ms"] = millis(shaped["created_ms"]), millis(shaped["updated_ms"])
    shaped["tags"] = tags(shaped["tags"])
    shaped["problem"] = tags(shaped["problem"]) if shaped["problem"] else None
    shaped["aliases"] = orjson.loads(row[-1]) if row[-1] else []
    return shaped


def _one(sql: str, parameters: list[Any]) -> Sequence[Any] | None:
    return statements.row(_spelt(sql), parameters)


def _all(sql: str, ids: Sequence[int]) -> list[Sequence[Any]]:
    """For many ids: as one array where the database has arrays, so that the statement is always the same."""
    if connection.vendor == "postgresql":
        return statements.rows(_spelt(sql.replace("IN ({ids})", "= ANY(%s)")), [list(ids)])
    return statements.rows(_spelt(sql.replace("{ids}", ", ".join(["%s"] * len(ids)))), ids)


def _spelt(sql: str) -> str:
    return _spelt_for(sql, connection.vendor)


@lru_cache(maxsize=1000)
def _spelt_for(sql: str, vendor: str) -> str:
    for name, function in _FUNCTIONS[vendor].items():
        sql = sql.replace(f"{{{name}}}", function)
    return sql
