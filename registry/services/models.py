"""Creating, changing and deleting models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit, changes
from registry.changes import Change
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.domain.names import model_name, team_name
from registry.domain.text import clean_tags, clean_text
from registry.errors import Conflict, NotFound
from registry.models import Model, Version
from registry.models.signals import version_deleting
from registry.prepared import PreparedInsert, PreparedRows

_NEW = PreparedInsert(Model)
_LOCKED = PreparedRows(
    Model,
    # Rows that belong to it may be written meanwhile: nobody changes its key.
    lambda pk: Model.objects.select_for_update(no_key=True).filter(pk=pk, deleted_at=None).order_by(),
    pk=-1,
)
# For `changes`: the live model while it is called so.
AS_READ = "SELECT FROM registry_model WHERE id = %s AND name = %s AND deleted_at IS NULL{}"


def create_model(
    *,
    name: str,
    actor: Actor,
    owner_team: str = "",
    description: str = "",
    tags: Mapping[str, Any] | None = None,
    reason: str = "",
    wide: bool = False,
) -> Model:
    """A new model without versions; `Conflict` when a model of that name exists.

    `wide` takes every name that MLflow takes; others are safe in URLs and file names without quoting.
    """
    name = foreign.model_name(name) if wide else model_name(name)
    details = _details(owner_team, description, None if wide else tags)
    if wide:
        details["tags"] = foreign.tags_of((tags or {}).items(), maximum=foreign.MODEL_TAG_MAX)
        foreign.check_total(details["tags"])
    model = Model(name=name, created_by=actor.name, **details)

    def decide(held: bool) -> Change:
        if held:
            # Who takes or frees a name has the end of the trail first: see `changes`.
            audit.lock()
        return Change("model.create", target(model), [_NEW.write(model)], after=_summary(model))

    try:
        made = changes.make(decide, actor=actor, reason=reason)
    except IntegrityError:
        raise Conflict(
            f"A model named {model.name!r} exists already.",
            field="name",
            hint="Register a version of it, or choose another name.",
        ) from None
    assert made is not None
    _NEW.saved(model, made[0])
    return model


def update_model(
    *,
    model: Model,
    actor: Actor,
    owner_team: str | None = None,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Model:
    """Change what is given (None: leave as it is)."""
    with transaction.atomic():
        model = locked(model)
        before = _summary(model)
        details = _details(
            model.owner_team if owner_team is None else owner_team,
            model.description if description is None else description,
            model.tags if tags is None else tags,
        )
        for field, value in details.items():
            setattr(model, field, value)
        model.save(update_fields=[*details, "updated_at"])
        audit.record(
            actor=actor,
            action="model.update",
            target=target(model),
            before=before,
            after=_summary(model),
            reason=reason,
        )
    return model


def delete_model(*, model: Model, actor: Actor, reason: str = "") -> None:
    """Hide the model and free its name; its versions stay in the record.

    `Conflict` when an endpoint serves one of its versions or could be rolled back to it.
    """
    with transaction.atomic():
        model = locked(model)
        for version in Version.objects.filter(model=model, deleted_at=None).iterator():
            version_deleting.send(sender=Version, version=version)
        audit.lock()
        model.deleted_at = timezone.now()
        model.save(update_fields=["deleted_at", "updated_at"])
        audit.record(
            actor=actor, action="model.delete", target=target(model), before=_summary(model), reason=reason
        )


def target(model: Model) -> str:
    """How the audit trail names a model."""
    return f"models/{model.name}"


def locked(model: Model) -> Model:
    """The live model, its row locked until the transaction ends; `NotFound` when it was deleted meanwhile."""
    found = _LOCKED.find(pk=model.pk)
    if not found:
        raise NotFound(f"The model {model.name!r} was deleted.")
    return found[0]


def _details(owner_team: str, description: str, tags: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "owner_team": team_name(owner_team),
        "description": clean_text(description, field="description", maximum=20_000),
        "tags": clean_tags(tags),
    }


def _summary(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "owner_team": model.owner_team,
        "description": model.description,
        "tags": model.tags,
    }
