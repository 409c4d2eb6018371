"""Registered models, their tags and aliases."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
from django.db.models import QuerySet

from registry import lookups, services
from registry.domain import foreign
from registry.domain.access import Scope
from registry.domain.roles import Permission, alias_permission
from registry.errors import Conflict, NotFound
from registry.identity import limits_of, may, require, scopes_with, seen_by, visible
from registry.lookups import ModelRow
from registry.mlflow.call import Call
from registry.mlflow.documents import model_document, version_document
from registry.mlflow.errors import ProtocolError, already_exists
from registry.mlflow.search.bare import bare_page, timed
from registry.mlflow.search.ordering import sorts_of
from registry.mlflow.search.vocabulary import Vocabulary
from registry.models import Model, Version
from registry.services.recording import stage_name

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_VOCABULARY = Vocabulary(texts={"name": "name"}, numbers={}, lists=frozenset({"name"}))
_ORDERS = {"name": "name", "timestamp": "updated_at", "last_updated_timestamp": "updated_at"}
_COLUMNS = ("id", "name", "owner_team", "created_us", "updated_us", "description", "tags")


def create(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    name, tags = arguments.need("name"), dict(arguments.pairs("tags"))
    if tags.get(_PROMPT_TAG, "").lower() == "true":
        raise ProtocolError("NOT_IMPLEMENTED", "Slipway keeps no prompts; keep them in an MLflow server.")
    try:
        model = services.create_model(
            name=name,
            owner_team=_team(call),
            description=arguments.text("description"),
            tags=tags,
            actor=call.actor,
            wide=True,
        )
    except Conflict:
        raise already_exists(f"Registered Model (name={name}) already exists.") from None
    return {"registered_model": _document(_row(model))}


def get(call: Call) -> dict[str, Any]:
    return {"registered_model": _document(_visible_row(call))}


def update(call: Call) -> dict[str, Any]:
    model = services.update_model(
        model=model_named(call), description=call.arguments.text("description"), actor=call.actor
    )
    return {"registered_model": _document(_row(model))}


def rename(call: Call) -> dict[str, Any]:
    new_name = call.arguments.need("new_name")
    try:
        model = services.rename_model(model=model_named(call), name=new_name, actor=call.actor)
    except Conflict:
        raise already_exists(f"Registered Model (name={new_name}) already exists.") from None
    return {"registered_model": _document(_row(model))}


def delete(call: Call) -> dict[str, Any]:
    model = model_named(call)
    services.delete_model(model=model, actor=call.actor, reason="over the MLflow protocol")
    return {}


def search(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    sorts = sorts_of(arguments.texts("order_by"), _ORDERS, ties=[("name", False)])
    text, limit, token = arguments.text("filter"), arguments.limit(100, 1000), arguments.text("page_token")

    def rows() -> QuerySet[Model]:
        return timed(Model.objects.filter(visible(call.user), _VOCABULARY.filter(text), deleted_at=None))

    key = ("models", text, seen_by(call.user))
    found = bare_page(rows, sorts, _COLUMNS, limit=limit, token=token, key=key)
    ids = [row[0] for row in found.rows]
    latest, aliases = lookups.latest_versions(ids), lookups.aliases_of(ids)
    documents = []
    for pk, name, team, created, updated, description, tags, *_ in found.rows:
        pairs = [{"alias": alias, "version": str(number)} for alias, number in aliases[pk]]
        named = orjson.dumps(pairs).decode() if pairs else None
        times = created // 1000, updated // 1000
        model = ModelRow(pk, name, team, *times, description, lookups.tags(tags), named)
        documents.append(model_document(model, latest[pk]))
    return _listed("registered_models", documents, found.token)


def latest_versions(call: Call) -> dict[str, Any]:
    stages = {stage_name(stage) for stage in call.arguments.texts("stages")}
    row = _visible_row(call)
    found = lookups.latest_versions([row.id], with_aliases=True)[row.id]
    wanted = [version for version in found if not stages or version["stage"] in stages]
    return _listed("model_versions", [version_document(version) for version in wanted], "")


def set_tag(call: Call) -> dict[str, Any]:
    key = call.arguments.need("key")
    services.tag_model(model=model_named(call), key=key, value=call.arguments.text("value"), actor=call.actor)
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    key = call.arguments.need("key")
    services.tag_model(model=model_named(call), key=key, value=None, actor=call.actor)
    return {}


def set_alias(call: Call) -> dict[str, Any]:
    alias, number = foreign.alias_name(call.arguments.need("alias")), number_of(call)
    name = call.arguments.need("name")
    version = live_version(call, name, number, alias_permission(alias))
    services.set_alias(model=version.model, name=alias, version=version, actor=call.actor, wide=True)
    return {}


def get_by_alias(call: Call) -> dict[str, Any]:
    name, alias = call.arguments.need("name"), call.arguments.need("alias")
    if alias.lower() == "latest":
        row = lookups.newest_version_row(name)
    else:
        row = lookups.version_row_by_alias(name, alias)
    if row is not None:
        call.check(Scope(row["owner_team"], row["model_id"]), missing(name))
        return {"model_version": version_document(row)}
    _visible_row(call)
    raise ProtocolError("INVALID_PARAMETER_VALUE", f"Registered model alias {alias} not found.")


def delete_alias(call: Call) -> dict[str, Any]:
    alias = call.arguments.need("alias")
    model = model_named(call, alias_permission(alias))
    # The protocol is content when there is none.
    with suppress(NotFound):
        services.delete_alias(model=model, name=alias, actor=call.actor)
    return {}


def model_named(call: Call, permission: Permission | None = None) -> Model:
    """The live model that the call names and may touch, or the protocol's error."""
    name = call.arguments.need("name")
    model = lookups.model(name)
    if model is None:
        raise missing(name)
    call.check(Scope(model.owner_team, model.pk), missing(name), permission)
    return model


def live_version(call: Call, name: str, number: int, permission: Permission | None = None) -> Version:
    """The live version with its model, which the call may touch, or the protocol's error."""
    found = lookups.version(name, number)
    if found is None:
        raise missing_version(name, number)
    place = Scope(found.model.owner_team, found.model_id)
    call.check(place, missing_version(name, number), permission)
    return found


def number_of(call: Call) -> int:
    """The version's number: whatever Python's int() takes, as in MLflow; one that cannot be is not found."""
    value = call.arguments.value("version")
    try:
        number = int(value[:40] if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE", f"Parameter 'version' must be an integer, got '{str(value)[:80]}'."
        ) from None
    return number if 0 < number < 2**31 else 0


def missing(name: str) -> ProtocolError:
    """There is no such model."""
    return ProtocolError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found")


def missing_version(name: str, number: int) -> ProtocolError:
    """There is no such version."""
    return ProtocolError(
        "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={number}) not found"
    )


def _visible_row(call: Call) -> ModelRow:
    name = call.arguments.need("name")
    row = lookups.model_row(name)
    if row is None:
        raise missing(name)
    call.check(Scope(row.owner_team, row.id), missing(name), Permission.VIEW)
    return row


def _team(call: Call) -> str:
    """The protocol knows no teams: whoever may register in one team only registers there."""
    if may(call.user, Permission.REGISTER):
        return ""
    limit = limits_of(call.user).scope.team
    teams = {scope.team for scope in scopes_with(call.user, Permission.REGISTER) if scope.team}
    team = limit or (teams.pop() if len(teams) == 1 else "")
    require(call.user, Permission.REGISTER, Scope(team))
    return team


def _row(model: Model) -> ModelRow:
    row = lookups.model_row(model.name)
    if row is None:
        raise missing(model.name)
    return row


def _document(row: ModelRow) -> dict[str, Any]:
    return model_document(row, lookups.latest_versions([row.id])[row.id])


def _listed(name: str, documents: list[dict[str, Any]], token: str) -> dict[str, Any]:
    answer: dict[str, Any] = {name: documents} if documents else {}
    return answer | ({"next_page_token": token} if token else {})
