"""Aliases: movable names for versions."""

from __future__ import annotations

from django.db import transaction

from registry import audit, statements
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.domain.names import alias_name
from registry.errors import Conflict, NotFound
from registry.models import Alias, Model, Version
from registry.prepared import PreparedInsert, PreparedUpdate
from registry.services.models import locked, target

# The live version with the alias of that name, wherever it points now. Asked once the model is locked: a
# statement that waits for the lock itself would see the alias as it was before.
_LIVE_AND_NAMED = (
    "SELECT a.id, a.version_id, n.number FROM registry_version v "
    "LEFT JOIN registry_alias a ON a.model_id = v.model_id AND a.name = %s "
    "LEFT JOIN registry_version n ON n.id = a.version_id "
    "WHERE v.id = %s AND v.model_id = %s AND v.deleted_at IS NULL"
)
_NEW, _MOVED = PreparedInsert(Alias), PreparedUpdate(Alias, "version", "updated_at")


def set_alias(
    *, model: Model, name: str, version: Version, actor: Actor, reason: str = "", wide: bool = False
) -> Alias:
    """Point the alias at a version of the model, creating or moving it; nothing happens if it is there.

    It must be ready to be named. `wide` takes every name that MLflow takes, and any version, as MLflow does.
    """
    name = foreign.alias_name(name) if wide else alias_name(name)
    with transaction.atomic():
        locked(model)
        found = statements.row(_LIVE_AND_NAMED, [name, version.pk, model.pk])
        if found is None:
            raise Conflict(f"{version} is no version of {model.name}.", field="version")
        if not (wide or version.is_ready):
            raise Conflict(
                f"{version} is {version.state}; an alias names only what is ready.", field="version"
            )
        key, at, number = found
        alias = Alias(pk=key, model=model, name=name, version=version)
        if at == version.pk:
            return alias
        before = None if key is None else {"version": number}
        if before:
            _MOVED.save(alias)
        else:
            _NEW.save(alias)
        audit.record(
            actor=actor,
            action="alias.set",
            target=f"{target(model)}/aliases/{name}",
            before=before,
            after={"version": version.number},
            reason=reason,
        )
    return alias


def delete_alias(*, model: Model, name: str, actor: Actor, reason: str = "") -> None:
    """Remove the alias; the version stays. `NotFound` when there is none."""
    name = foreign.plain(name, field="alias", maximum=255)
    with transaction.atomic():
        locked(model)
        alias = Alias.objects.select_related("version").filter(model=model, name=name).first()
        if alias is None:
            raise NotFound(f"{model.name} has no alias {name!r}.")
        before = {"version": alias.version.number}
        alias.delete()
        audit.record(
            actor=actor,
            action="alias.delete",
            target=f"{target(model)}/aliases/{name}",
            before=before,
            reason=reason,
        )
