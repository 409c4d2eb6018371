"""Versions of registered models, their tags and stages."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from registry import lookups, services
from registry.domain import foreign
from registry.domain.access import Scope
from registry.domain.roles import Permission
from registry.identity import seen_by, visible
from registry.mlflow.call import Call
from registry.mlflow.calls.registered_models import live_version, missing_version, model_named, number_of
from registry.mlflow.documents import version_document, version_of
from registry.mlflow.search.bare import bare_page, timed
from registry.mlflow.search.ordering import sorts_of
from registry.mlflow.search.vocabulary import Vocabulary
from registry.models import Version
from registry.services import sources
from registry.services.recording import Recorded, stage_name

_VOCABULARY = Vocabulary(
    texts={"name": "model__name", "run_id": "training_run", "source_path": "source"},
    numbers={"version_number": "number"},
    lists=frozenset({"name", "run_id"}),
    quoted_numbers=True,
)
_ORDERS = {
    "name": "model__name",
    "version_number": "number",
    "creation_timestamp": "created_at",
    "last_updated_timestamp": "updated_at",
}
_COLUMNS = (
    "model__name", "number", "created_us", "updated_us", "stage", "notes", "source", "training_run",
    "run_link", "logged_model", "state", "problem", "tags",
)  # fmt: skip
_TIES = (("model__name", False), ("number", True))


def create(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    source, tags = arguments.need("source"), arguments.pairs("tags")
    tagged = foreign.tags_of(tags, maximum=foreign.VERSION_TAG_MAX)
    model = model_named(call)
    lineage = sources.resolve(
        source,
        run=arguments.maybe("run_id"),
        logged_model=arguments.maybe("model_id"),
        among=lambda: visible(call.user, "model__"),
    )
    file, why = sources.artifact_of(lineage)
    said = Recorded(
        source=lineage.source,
        resolved_source=lineage.resolved,
        run=lineage.run,
        logged_model=lineage.logged_model,
        run_link=arguments.text("run_link", maximum=500),
        description=arguments.text("description", maximum=20_000),
        tags=tagged,
        file=file,
        why=why,
    )
    version = services.adopt_version(model=model, said=said, actor=call.actor)
    if lineage.logged_model:
        sources.note_version(lineage, name=model.name, number=version.number)
    return {"model_version": _document(version, old=False)}


def get(call: Call) -> dict[str, Any]:
    name, number = call.arguments.need("name"), number_of(call)
    return {"model_version": version_document(_row(call, name, number))}


def update(call: Call) -> dict[str, Any]:
    description = call.arguments.text("description")
    version = services.describe_version(version=_named(call), description=description, actor=call.actor)
    return {"model_version": _document(version)}


def delete(call: Call) -> dict[str, Any]:
    services.delete_version(version=_named(call), actor=call.actor, with_aliases=True)
    return {}


def transition_stage(call: Call) -> dict[str, Any]:
    stage = stage_name(call.arguments.need("stage"))
    version = services.move_stage(
        version=_named(call, Permission.PROMOTE if stage == "Production" else None),
        stage=stage,
        archive_others=call.arguments.flag("archive_existing_versions"),
        actor=call.actor,
    )
    return {"model_version": _document(version)}


def search(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    text, token = arguments.text("filter"), arguments.text("page_token")
    clauses = arguments.texts("order_by") or ["last_updated_timestamp DESC"]
    limit = arguments.limit(10_000, 200_000)
    only, named = _VOCABULARY.only(text, "name"), _VOCABULARY.equal(text, "name")
    columns, ties = (_COLUMNS, _TIES) if only is None else (_COLUMNS[1:], _TIES[1:])
    sorts = sorts_of(clauses, _ORDERS, ties=ties)
    model = None if named is None else lookups.model_key(named)
    if only is not None and model is None:
        return {}

    def rows() -> QuerySet[Version]:
        live = Version.objects.filter(visible(call.user, "model__"), deleted_at=None)
        if only is None:
            live = live.filter(_VOCABULARY.filter(text), model__deleted_at=None)
        # By its key PostgreSQL knows how many versions it has, and an index that has them in order.
        return timed(live if model is None else live.filter(model=model))

    key = ("versions", text, model, seen_by(call.user))
    found = bare_page(rows, sorts, columns, limit=limit, token=token, key=key)
    answer: dict[str, Any] = {}
    if found.rows:
        answer["model_versions"] = [
            _listed(*row) if only is None else _listed(only, *row) for row in found.rows
        ]
    if found.token:
        answer["next_page_token"] = found.token
    return answer


def download_uri(call: Call) -> dict[str, Any]:
    name, number = call.arguments.need("name"), number_of(call)
    row = _row(call, name, number)
    return {"artifact_uri": row["resolved_source"] or row["source"]}


def set_tag(call: Call) -> dict[str, Any]:
    key, value = call.arguments.need("key"), call.arguments.text("value")
    services.tag_version(version=_named(call), key=key, value=value, actor=call.actor)
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    key = call.arguments.need("key")
    services.tag_version(version=_named(call), key=key, value=None, actor=call.actor)
    return {}


def _listed(
    name: str, number: int, created_us: int, updated_us: int, stage: str, notes: str, source: str, run: str,
    run_link: str, logged_model: str, state: str, problem: str | None, tags: str, *_: Any,
) -> dict[str, Any]:  # fmt: skip
    """A version from the columns of a search."""
    return version_of(
        name, number, created_us // 1000, updated_us // 1000, stage, notes, source, run, run_link,
        logged_model, state, lookups.tags(problem) if problem else None, lookups.tags(tags),
    )  # fmt: skip


def _row(call: Call, name: str, number: int) -> dict[str, Any]:
    row = lookups.version_row(name, number)
    if row is None:
        raise missing_version(name, number)
    call.check(Scope(row["owner_team"], row["model_id"]), missing_version(name, number))
    return row


def _named(call: Call, permission: Permission | None = None) -> Version:
    return live_version(call, call.arguments.need("name"), number_of(call), permission)


def _document(version: Version, *, old: bool = True) -> dict[str, Any]:
    row = {name: getattr(version, name, None) for name in lookups.VERSION_FIELDS}
    row["name"] = version.model.name
    row["created_ms"] = lookups.millis(version.created_at)
    row["updated_ms"] = lookups.millis(version.updated_at)
    row["aliases"] = list(version.aliases.order_by("name").values_list("name", flat=True)) if old else []
    return version_document(row)
