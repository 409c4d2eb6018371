"""Aliases: movable names for versions."""

from __future__ import annotations

from django.db import transaction

from registry import audit
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.domain.names import alias_name
from registry.errors import Conflict, NotFound
from registry.models import Alias, Model, Version
from registry.prepared import Prepared, PreparedInsert, PreparedUpdate
from registry.services.models import locked, target

_LIVE = Prepared(
    lambda pk, model: (
        Version.objects.filter(pk=pk, model=model, deleted_at=None).order_by().values_list("pk")
    ),
    pk=-1,
    model=-2,
)
_NAMED = Prepared(
    lambda model, name: (
        Alias.objects.filter(model=model, name=name)
        .order_by()
        .values_list("pk", "version", "version__number")
    ),
    model=-1,
    name="@name",
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
        if not _LIVE.rows(pk=version.pk, model=model.pk):
            raise Conflict(f"{version} is no version of {model.name}.", field="version")
        if not (wide or version.is_ready):
            raise Conflict(
                f"{version} is {version.state}; an alias names only what is ready.", field="version"
            )
        found = _NAMED.rows(model=model.pk, name=name)
        key, at, number = found[0] if found else (None, None, None)
        alias = Alias(pk=key, model=model, name=name, version=version)
        if at == version.pk:
            return alias
        before = {"version": number} if found else None
        if found:
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
