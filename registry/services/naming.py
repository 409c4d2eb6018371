"""Renaming models, and single tags of models and versions."""

from __future__ import annotations

from copy import copy

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit, changes
from registry.changes import Change
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Conflict
from registry.models import Model, Version
from registry.prepared import PreparedUpdate, Write
from registry.services.models import AS_READ, locked, target
from registry.services.versions import locked_version
from registry.services.versions import target as version_target

_MODEL_TAGS, _VERSION_TAGS = PreparedUpdate(Model, "tags"), PreparedUpdate(Version, "tags")
_MODEL_AS_READ = AS_READ.format(" AND tags = %s")
_VERSION_AS_READ = "SELECT FROM registry_version WHERE id = %s AND tags = %s AND deleted_at IS NULL"


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
    key = foreign.key_name(key)
    if value is not None:
        value = foreign.plain(value, field="value", maximum=foreign.MODEL_TAG_MAX)
    now = model

    def decide(held: bool) -> Change | None:
        nonlocal now
        now = locked(model) if held else copy(model)
        before, tags = now.tags.get(key), now.tags
        if before == value:
            return None
        now.tags = _changed(tags, key, value)
        as_read = (_MODEL_AS_READ, [now.pk, now.name, _MODEL_TAGS.stored("tags", tags)])
        return _change("model", target(now), key, before, value, _MODEL_TAGS.write(now), as_read)

    changes.make(decide, actor=actor, reason=reason)
    return now


def tag_version(*, version: Version, key: str, value: str | None, actor: Actor, reason: str = "") -> Version:
    """Set one tag of the version, or remove it (None); nothing happens when it is so already."""
    key = foreign.key_name(key)
    if value is not None:
        value = foreign.plain(value, field="value", maximum=foreign.VERSION_TAG_MAX)
    now = version

    def decide(held: bool) -> Change | None:
        nonlocal now
        now = locked_version(version) if held else copy(version)
        before, tags = now.tags.get(key), now.tags
        if before == value:
            return None
        now.tags = _changed(tags, key, value)
        as_read = (_VERSION_AS_READ, [now.pk, _VERSION_TAGS.stored("tags", tags)])
        return _change("version", version_target(now), key, before, value, _VERSION_TAGS.write(now), as_read)

    changes.make(decide, actor=actor, reason=reason)
    return now


def _changed(tags: dict[str, str], key: str, value: str | None) -> dict[str, str]:
    changed = {name: text for name, text in tags.items() if name != key}
    if value is not None:
        changed[key] = value
    foreign.check_total(changed)
    return changed


def _change(
    noun: str, target: str, key: str, before: str | None, value: str | None, write: Write, as_read: Write
) -> Change:
    return Change(
        f"{noun}.tag" if value is not None else f"{noun}.untag",
        target,
        [write],
        before=None if before is None else {key: before[:500]},
        after=None if value is None else {key: value[:500]},
        as_read=as_read,
    )
