"""Renaming models, and single tags of models and versions."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit, changes
from registry.changes import Change
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Conflict
from registry.models import Model, Version
from registry.prepared import PreparedUpdate
from registry.services.models import AS_READ, locked, target
from registry.services.versions import locked_version
from registry.services.versions import target as version_target

R = TypeVar("R", Model, Version)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[R]):
    """What has tags: `as_read` finds the row by `known_by` and its tags as they were read."""

    noun: str
    longest: int
    tags: PreparedUpdate[R]
    locked: Callable[[R], R]
    target: Callable[[R], str]
    as_read: str
    known_by: Callable[[R], list[Any]]


_MODEL = _Kind(
    "model",
    foreign.MODEL_TAG_MAX,
    PreparedUpdate(Model, "tags"),
    locked,
    target,
    AS_READ.format(" AND tags = %s"),
    lambda model: [model.pk, model.name],
)
_VERSION = _Kind(
    "version",
    foreign.VERSION_TAG_MAX,
    PreparedUpdate(Version, "tags"),
    locked_version,
    version_target,
    "SELECT FROM registry_version WHERE id = %s AND tags = %s AND deleted_at IS NULL",
    lambda version: [version.pk],
)


def rename_model(*, model: Model, name: str, actor: Actor, reason: str = "") -> Model:
    """Give the model another name; all that belongs to it stays. `Conflict` when the name is taken."""
    name = foreign.model_name(name, field="new_name")
    try:
        with transaction.atomic():
            model = locked(model)
            audit.lock()
            before, model.name = model.name, name
            model.save(update_fields=["name", "updated_at"])
            Version.objects.filter(model=model, deleted_at=None).update(updated_at=timezone.now())
            audit.record(
                actor=actor,
                action="model.rename",
                target=target(model),
                before={"name": before},
                after={"name": name},
                reason=reason,
            )
    except IntegrityError:
        raise Conflict(f"A model named {name!r} exists already.", field="new_name") from None
    return model


def tag_model(*, model: Model, key: str, value: str | None, actor: Actor, reason: str = "") -> Model:
    """Set one tag of the model, or remove it (None); nothing happens when it is so already."""
    return _tag(_MODEL, model, key, value, actor, reason)


def tag_version(*, version: Version, key: str, value: str | None, actor: Actor, reason: str = "") -> Version:
    """Set one tag of the version, or remove it (None); nothing happens when it is so already."""
    return _tag(_VERSION, version, key, value, actor, reason)


def _tag(kind: _Kind[R], row: R, key: str, value: str | None, actor: Actor, reason: str) -> R:
    key = foreign.key_name(key)
    if value is not None:
        value = foreign.plain(value, field="value", maximum=kind.longest)
    now: R = row

    def decide(held: bool) -> Change | None:
        nonlocal now
        now = kind.locked(row) if held else copy(row)
        before, tags = now.tags.get(key), now.tags
        if before == value:
            return None
        now.tags = _changed(tags, key, value)
        return Change(
            f"{kind.noun}.tag" if value is not None else f"{kind.noun}.untag",
            kind.target(now),
            [kind.tags.write(now)],
            before=None if before is None else {key: before[:500]},
            after=None if value is None else {key: value[:500]},
            as_read=(kind.as_read, [*kind.known_by(now), kind.tags.stored("tags", tags)]),
        )

    changes.make(decide, actor=actor, reason=reason)
    return now


def _changed(tags: dict[str, str], key: str, value: str | None) -> dict[str, str]:
    changed = {name: text for name, text in tags.items() if name != key}
    if value is not None:
        changed[key] = value
    foreign.check_total(changed)
    return changed
