"""Experiments: created, renamed, tagged, hidden and shown again."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from registry import audit
from registry.domain import foreign
from registry.domain.actor import SYSTEM, Actor
from registry.errors import Conflict, Invalid, NotFound
from registry.models import Experiment
from registry.services.tracking.clock import now_ms

DEFAULT = 0


def default_experiment() -> Experiment:
    """Experiment 0, `Default`, entered when it is asked for first."""
    now = now_ms()
    return Experiment.objects.get_or_create(
        pk=DEFAULT,
        defaults={"name": "Default", "created_by": SYSTEM.name, "created_ms": now, "updated_ms": now},
    )[0]


def create_experiment(
    *, name: str, actor: Actor, location: str = "", tags: Mapping[str, str] | None = None
) -> Experiment:
    """A new experiment; `Conflict` when one of that name exists, deleted ones included."""
    now = now_ms()
    foreign.check_total(tags or {})
    experiment = Experiment(
        name=_name(name),
        artifact_location=foreign.plain(location, field="artifact_location", maximum=500),
        tags=dict(tags or {}),
        created_by=actor.name,
        created_ms=now,
        updated_ms=now,
    )
    try:
        with transaction.atomic():
            experiment.save(force_insert=True)
            _record(experiment, "experiment.create", actor, after={"name": name})
    except IntegrityError:
        raise Conflict(f"Experiment {name!r} already exists.", field="name") from None
    return experiment


def rename_experiment(*, experiment: Experiment, name: str, actor: Actor) -> None:
    """Give the experiment another name; `Conflict` when it is taken."""
    name = _name(name, field="new_name")
    try:
        with transaction.atomic():
            experiment = _locked(experiment)
            if experiment.deleted:
                raise Invalid("Cannot rename a non-active experiment.", field="experiment_id")
            before, experiment.name, experiment.updated_ms = experiment.name, name, now_ms()
            experiment.save(update_fields=["name", "updated_ms"])
            _record(experiment, "experiment.rename", actor, before={"name": before}, after={"name": name})
    except IntegrityError:
        raise Conflict(f"Experiment {name!r} already exists.", field="new_name") from None


def delete_experiment(*, experiment: Experiment, actor: Actor, restore: bool = False) -> None:
    """Hide the experiment and its runs from searches, or show them again (`restore`)."""
    if experiment.pk == DEFAULT:
        raise Invalid("Cannot delete the default experiment.", field="experiment_id")
    with transaction.atomic():
        experiment = _locked(experiment)
        if experiment.deleted != restore:
            raise NotFound(f"No Experiment with id={experiment.pk} is {'deleted' if restore else 'active'}.")
        experiment.deleted, experiment.updated_ms = not restore, now_ms()
        experiment.save(update_fields=["deleted", "updated_ms"])
        experiment.runs.update(deleted=not restore)
        _record(experiment, "experiment.restore" if restore else "experiment.delete", actor)


def tag_experiment(*, experiment: Experiment, key: str, value: str | None) -> None:
    """Set a tag of the experiment, or remove it (None)."""
    key = foreign.key_name(key)
    if value is not None:
        value = foreign.plain(value, field="value", maximum=5000)
    with transaction.atomic():
        experiment = _locked(experiment)
        if experiment.deleted:
            raise Invalid("The experiment must be in the 'active' state.", field="experiment_id")
        if value is None and key not in experiment.tags:
            raise NotFound(f"No tag with name: {key} in experiment with id {experiment.pk}.")
        experiment.tags.pop(key, None)
        if value is not None:
            experiment.tags[key] = value
        foreign.check_total(experiment.tags)
        experiment.updated_ms = now_ms()
        experiment.save(update_fields=["tags", "updated_ms"])


def _name(name: str, field: str = "name") -> str:
    name = foreign.plain(name, field=field, maximum=500)
    if not name.strip():
        raise Invalid("Invalid experiment name: it must not be empty.", field=field)
    return name


def _locked(experiment: Experiment) -> Experiment:
    found = Experiment.objects.select_for_update().filter(pk=experiment.pk).first()
    if found is None:
        raise NotFound(f"No Experiment with id={experiment.pk} exists.")
    return found


def _record(
    experiment: Experiment,
    action: str,
    actor: Actor,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    audit.record(
        actor=actor, action=action, target=f"experiments/{experiment.pk}", before=before, after=after
    )
