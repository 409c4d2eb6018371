"""Logged models: what a run saved as a model, registered or not."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from django.db import transaction

from registry import audit
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Invalid, NotFound
from registry.models import Experiment, LoggedModel
from registry.services.tracking.clock import now_ms

PENDING = "LOGGED_MODEL_PENDING"
# The numbers are those of the protocol.
STATUSES = {1: PENDING, 2: "LOGGED_MODEL_READY", 3: "LOGGED_MODEL_UPLOAD_FAILED"}
_FORBIDDEN = re.compile(r"[/:.%\"']")


def create_logged_model(
    *,
    experiment: Experiment,
    actor: Actor,
    name: str = "",
    model_type: str = "",
    source_run: str = "",
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> LoggedModel:
    """A new logged model, pending until its files are there; without a name it gets one."""
    if experiment.deleted:
        raise Invalid(f"The experiment {experiment.pk} must be in the 'active' state.", field="experiment_id")
    uid, now = f"m-{uuid.uuid4().hex}", now_ms()
    name = foreign.plain(name or f"model-{uid[2:10]}", field="name", maximum=500)
    if _FORBIDDEN.search(name):
        raise Invalid(
            f"Invalid model name ({ascii(name[:80])}) provided. Model name must be a non-empty string and "
            "cannot contain the following characters: ('/', ':', '.', '%', '\"', \"'\")",
            field="name",
        )
    model = LoggedModel(
        uid=uid,
        experiment=experiment,
        name=name,
        model_type=foreign.plain(model_type, field="model_type", maximum=500),
        status=PENDING,
        source_run=foreign.plain(source_run, field="source_run_id", maximum=32),
        params=dict(params or {}),
        tags=dict(tags or {}),
        created_by=actor.name,
        created_ms=now,
        updated_ms=now,
    )
    foreign.check_total(model.tags)
    foreign.check_total(model.params, field="params")
    with transaction.atomic():
        model.save(force_insert=True)
        _record(model, "logged_model.create", actor)
    return model


def finish_logged_model(*, model: LoggedModel, status: str, actor: Actor) -> LoggedModel:
    """Set the status once the files are there, or could not be uploaded."""
    with transaction.atomic():
        model = _locked(model)
        model.status, model.updated_ms = status, now_ms()
        model.save(update_fields=["status", "updated_ms"])
        _record(model, "logged_model.finish", actor, {"status": status})
    return model


def delete_logged_model(*, model: LoggedModel, actor: Actor) -> None:
    """Hide the logged model; its files stay, where versions may refer to them."""
    with transaction.atomic():
        model = _locked(model)
        model.deleted, model.updated_ms = True, now_ms()
        model.save(update_fields=["deleted", "updated_ms"])
        _record(model, "logged_model.delete", actor)


def tag_logged_model(*, model: LoggedModel, tags: Mapping[str, str | None]) -> None:
    """Set tags, or remove them (None); `NotFound` when one to be removed is not there."""
    with transaction.atomic():
        model = _locked(model)
        for key, value in tags.items():
            if value is not None:
                model.tags[foreign.key_name(key)] = foreign.plain(value, field="value", maximum=8000)
            elif model.tags.pop(key, None) is None:
                raise NotFound(f"No tag with key {key!r} found for model with ID {model.uid!r}.")
        foreign.check_total(model.tags)
        model.updated_ms = now_ms()
        model.save(update_fields=["tags", "updated_ms"])


def log_model_params(*, model: LoggedModel, params: Mapping[str, str]) -> None:
    """Add parameters to the logged model."""
    with transaction.atomic():
        model = _locked(model)
        model.params.update(params)
        foreign.check_total(model.params, field="params")
        model.updated_ms = now_ms()
        model.save(update_fields=["params", "updated_ms"])


def _locked(model: LoggedModel) -> LoggedModel:
    found = LoggedModel.objects.select_for_update().filter(pk=model.pk, deleted=False).first()
    if found is None:
        raise NotFound(f"Logged model with ID {model.uid!r} not found.")
    return found


def _record(model: LoggedModel, action: str, actor: Actor, after: dict[str, str] | None = None) -> None:
    audit.record(actor=actor, action=action, target=f"logged-models/{model.uid}", after=after)
