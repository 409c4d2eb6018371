"""Version numbers: 1, 2, 3… per model without gaps, also under concurrent calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, connection
from django.utils import timezone

from registry import changes, statements
from registry.changes import Change
from registry.domain.actor import Actor
from registry.errors import NotFound
from registry.models import Model, Version
from registry.prepared import GOING, PreparedInsert
from registry.services.models import AS_READ, locked, target

# The update locks the model's row until commit, and a rollback gives the number back.
_TAKE = (
    "UPDATE registry_model SET last_number = last_number + 1, updated_at = %s "
    "WHERE id = %s AND deleted_at IS NULL RETURNING last_number"
)
_TAKEN = (
    f"UPDATE registry_model SET last_number = %s, updated_at = %s WHERE id = %s AND {{{GOING}}} RETURNING id"
)
_INSERT = PreparedInsert(Version)
_AS_READ = AS_READ.format(" AND last_number = %s")
_NUMBER = [field.name for field in _INSERT.fields].index("number")
_TAKE_AND_INSERT = (
    f"WITH taken AS ({_TAKE}) INSERT INTO registry_version "
    f"({', '.join(str(field.column) for field in _INSERT.fields)}) VALUES ("
    + ", ".join(
        "(SELECT last_number FROM taken)" if at == _NUMBER else "%s" for at in range(len(_INSERT.fields))
    )
    + ") RETURNING id, number"
)


def save_as_next(version: Version) -> None:
    """Write the new row with its model's next number; `NotFound` when the model was deleted meanwhile."""
    model = version.model
    now = _now()
    if connection.vendor != "postgresql":
        taken = statements.row(_TAKE, [now, model.pk])
        if taken is None:
            raise _deleted(model)
        version.number = taken[0]
        _INSERT.save(version)
        return
    values = _INSERT.parameters(version)
    del values[_NUMBER]
    try:
        written = statements.row(_TAKE_AND_INSERT, [now, model.pk, *values])
    except IntegrityError as error:
        if getattr(error.__cause__, "sqlstate", "") == "23502":  # not null: there was no number to take
            raise _deleted(model) from None
        raise
    assert written is not None
    version.pk, version.number = written
    version._state.adding, version._state.db = False, "default"


def save_alone_as_next(version: Version, said: Callable[[], Any], *, actor: Actor, reason: str = "") -> None:
    """`save_as_next` of a version with which nothing else is written, and the entry of its registration.

    `said` is what the trail says of it, once it has its number.
    """
    model = version.model

    def decide(held: bool) -> Change:
        now = locked(model) if held else model
        as_read = (_AS_READ, [now.pk, now.name, now.last_number])
        version.number = now.last_number + 1
        named = f"{target(now)}/versions/{version.number}"
        writes = [(_TAKEN, [version.number, _now(), now.pk]), _INSERT.write(version)]
        return Change("version.register", named, writes, after=said(), as_read=as_read)

    made = changes.make(decide, actor=actor, reason=reason)
    assert made is not None
    _INSERT.saved(version, made[0])
    model.last_number = version.number


def save_as(version: Version) -> None:
    """Write the new row with the number that it has."""
    _INSERT.save(version)


def _now() -> Any:
    """The present as the column takes it."""
    return Model._meta.get_field("updated_at").get_db_prep_save(timezone.now(), connection)


def _deleted(model: Model) -> NotFound:
    return NotFound(f"The model {model.name!r} was deleted.")
