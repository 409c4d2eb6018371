"""Aliases: movable names for versions."""

from __future__ import annotations

from django.db import transaction

from registry import audit, changes, statements
from registry.changes import Change
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.domain.names import alias_name
from registry.domain.states import State
from registry.errors import Conflict, NotFound
from registry.models import Alias, Model, Version
from registry.prepared import PreparedInsert, PreparedUpdate
from registry.services.models import AS_READ, locked, target

# The live version of that number with the alias of that name, wherever it points now. Under locks it is asked
# once the model is locked: a statement that waits for the lock itself would see the alias as it was before.
_LIVE_AND_NAMED = (
    "SELECT v.id, v.state, a.id, a.version_id, n.number FROM registry_version v "
    "LEFT JOIN registry_alias a ON a.model_id = v.model_id AND a.name = %s "
    "LEFT JOIN registry_version n ON n.id = a.version_id "
    "WHERE v.model_id = %s AND v.number = %s AND v.deleted_at IS NULL"
)
_NEW, _MOVED = PreparedInsert(Alias), PreparedUpdate(Alias, "version", "updated_at")


def set_alias(
    *, model: Model, name: str, version: Version | int, actor: Actor, reason: str = "", wide: bool = False
) -> Alias:
    """Point the alias at a version of the model, creating or moving it; nothing happens if it is there.

    The version, or its number, must be ready to be named. `wide` takes every name that MLflow takes, and any
    version, as MLflow does.
    """
    name = foreign.alias_name(name) if wide else alias_name(name)
    known, number = (None, version) if isinstance(version, int) else (version.pk, version.number)
    alias = Alias(model=model, name=name)

    def decide(held: bool) -> Change | None:
        if held:
            locked(model)
        found = statements.row(_LIVE_AND_NAMED, [name, model.pk, number])
        if found is None and known is None:
            raise NotFound(f"{model.name} has no version {number}.")
        if found is None or known not in {None, found[0]}:
            raise Conflict(f"{version} is no version of {model.name}.", field="version")
        alias.version_id, state, alias.pk, at, number_now = found
        if not (wide or state == State.READY.value):
            raise Conflict(
                f"{model.name} version {number} is {state}; an alias names only what is ready.",
                field="version",
            )
        if at == alias.version_id:
            if held:
                alias.updated_at = Alias.objects.values_list("updated_at", flat=True).get(pk=alias.pk)
            return None
        return Change(
            "alias.set",
            f"{target(model)}/aliases/{name}",
            [_NEW.write(alias) if at is None else _MOVED.write(alias)],
            before=None if at is None else {"version": number_now},
            after={"version": number},
            as_read=(AS_READ.format(""), [model.pk, model.name]),
        )

    made = changes.make(decide, actor=actor, reason=reason)
    if made is not None:
        _NEW.saved(alias, made[0])
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
