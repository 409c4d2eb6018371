"""Renaming models, and single tags of models and versions."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Conflict
from registry.models import Model, Version
from registry.prepared import PreparedUpdate
from registry.services.models import locked, target
from registry.services.versions import locked_version
from registry.services.versions import target as version_target

_MODEL_TAGS, _VERSION_TAGS = PreparedUpdate(Model, "tags"), PreparedUpdate(Version, "tags")


def rename_model(*, model: Model, name: str, actor: Actor, reason: str = "") -> Model:
    """Give the model another name; all that belongs to it stays. `Conflict` when the name is taken."""
    name = foreign.model_name(name, field="new_name")
    try:
        with transaction.atomic():
            model = locked(model)
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
    with transaction.atomic():
        model = locked(model)
        before = model.tags.get(key)
        if before != value:
            model.tags = _changed(model.tags, key, value)
            _MODEL_TAGS.save(model)
            _record("model", target(model), key, before, value, actor, reason)
    return model


def tag_version(*, version: Version, key: str, value: str | None, actor: Actor, reason: str = "") -> Version:
    """Set one tag of the version, or remove it (None); nothing happens when it is so already."""
    key = foreign.key_name(key)
    if value is not None:
        value = foreign.plain(value, field="value", maximum=foreign.VERSION_TAG_MAX)
    with transaction.atomic():
        version = locked_version(version)
        before = version.tags.get(key)
        if before != value:
            version.tags = _changed(version.tags, key, value)
            _VERSION_TAGS.save(version)
            _record("version", version_target(version), key, before, value, actor, reason)
    return version


def _changed(tags: dict[str, str], key: str, value: str | None) -> dict[str, str]:
    changed = {name: text for name, text in tags.items() if name != key}
    if value is not None:
        changed[key] = value
    foreign.check_total(changed)
    return changed


def _record(
    noun: str, target: str, key: str, before: str | None, value: str | None, actor: Actor, reason: str
) -> None:
    audit.record(
        actor=actor,
        action=f"{noun}.tag" if value is not None else f"{noun}.untag",
        target=target,
        before=None if before is None else {key: before[:500]},
        after=None if value is None else {key: value[:500]},
        reason=reason,
    )
