"""Versions that come from a training run or from elsewhere: recorded first, inspected in the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from registry import audit
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.domain.states import State
from registry.errors import Conflict, Invalid, NotFound
from registry.models import Intake, Model, TrackedFile, Version
from registry.models.origin import STAGES
from registry.services.numbering import save_alone_as_next, save_as, save_as_next
from registry.services.versions import locked_version, target


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is said about a version whose artifact is not uploaded with it.

    `file` is the ONNX file among the tracked files of `source`, `why` the reason why there is none.
    """

    source: str = ""
    resolved_source: str = ""
    run: str = ""
    run_link: str = ""
    logged_model: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    file: TrackedFile | None = None
    why: str = ""
    framework: str = ""
    stage: str = STAGES[0]
    # An import keeps numbers and times.
    number: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


def adopt_version(*, model: Model, said: Recorded, actor: Actor, reason: str = "") -> Version:
    """The model's next version: pending until its ONNX file is inspected, when there is one.

    Without one it is `recorded`, and its `problem` says why it cannot be rolled out.
    """
    foreign.check_total(said.tags)
    version = _new(model, said, actor)
    if said.number is None and said.file is None:
        save_alone_as_next(version, lambda: _registered(version), actor=actor, reason=reason)
        return version
    with transaction.atomic():
        if said.number is None:
            save_as_next(version)
        else:
            version.number = _given_number(model, said.number)
            save_as(version)
        if said.file:
            Intake.objects.create(version=version, folder=said.file.parent)
        action, after = "version.register", _registered(version)
        audit.record(actor=actor, action=action, target=target(version), after=after, reason=reason)
    return version


def describe_version(*, version: Version, description: str, actor: Actor, reason: str = "") -> Version:
    """Replace the version's notes, as they were written."""
    description = foreign.plain(description, field="description", maximum=20_000)
    with transaction.atomic():
        version = locked_version(version)
        before, version.notes, version.updated_at = version.notes, description, timezone.now()
        version.save(update_fields=["notes", "updated_at"])
        _record(version, "version.annotate", {"notes": before}, {"notes": description}, actor, reason)
    return version


def move_stage(
    *, version: Version, stage: str, actor: Actor, archive_others: bool = False, reason: str = ""
) -> Version:
    """Give the version one of MLflow's stages, which move no traffic; deprecated in favour of aliases.

    `archive_others` archives what had the stage before; it makes sense for Staging and Production only.
    """
    stage = stage_name(stage)
    if archive_others and stage not in {"Staging", "Production"}:
        raise Invalid(
            "Existing versions can be archived only when a version goes to Staging or Production.",
            field="archive_existing_versions",
        )
    now = timezone.now()
    with transaction.atomic():
        # The model's row first, as everywhere, so that two moves do not wait for each other.
        if not Model.objects.filter(pk=version.model_id, deleted_at=None).update(updated_at=now):
            raise NotFound(f"The model {version.model.name!r} was deleted.")
        version = locked_version(version)
        if archive_others:
            others = Version.objects.filter(model=version.model_id, stage=stage, deleted_at=None)
            others.exclude(pk=version.pk).update(stage="Archived", updated_at=now)
        before, version.stage, version.updated_at = version.stage, stage, now
        version.save(update_fields=["stage", "updated_at"])
        _record(version, "version.stage", {"stage": before}, {"stage": stage}, actor, reason)
    return version


def stage_name(value: str) -> str:
    """The stage in its canonical spelling; `Invalid` for any other word."""
    for stage in STAGES:
        if isinstance(value, str) and value.lower() == stage.lower():
            return stage
    shown = ascii(str(value)[:40])
    raise Invalid(
        f"Invalid Model Version stage: {shown}. Value must be one of {', '.join(STAGES)}.", field="stage"
    )


def _new(model: Model, said: Recorded, actor: Actor) -> Version:
    """The row, without its number."""
    now = timezone.now()
    return Version(
        model=model,
        number=0,
        digest=said.file.digest if said.file else "",
        size=said.file.size if said.file else 0,
        filename=said.file.name if said.file else "",
        framework=said.framework,
        training_run=said.run,
        source=said.source,
        resolved_source=said.resolved_source,
        run_link=said.run_link,
        logged_model=said.logged_model,
        state=(State.PENDING if said.file else State.RECORDED).value,
        problem=None if said.file else {"message": said.why, "field": None, "hint": None},
        notes=said.description,
        tags=dict(said.tags),
        stage=said.stage,
        created_by=actor.name,
        created_at=said.created_at or now,
        updated_at=said.updated_at or now,
    )


def _registered(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "source": version.source,
        "run": version.training_run,
        "digest": version.digest,
    }


def _given_number(model: Model, number: int) -> int:
    if Version.objects.filter(model=model, number=number).exists():
        raise Conflict(f"{model.name} has a version {number} already.", field="version")
    Model.objects.filter(pk=model.pk, last_number__lt=number).update(last_number=number)
    Model.objects.filter(pk=model.pk).update(updated_at=timezone.now(), last_number=F("last_number"))
    return number


def _record(
    version: Version, action: str, before: dict[str, Any], after: dict[str, Any], actor: Actor, reason: str
) -> None:
    audit.record(
        actor=actor, action=action, target=target(version), before=before, after=after, reason=reason
    )
