"""Runs: begun, described, ended, hidden; their parameters, tags, data sets and models."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from registry import audit
from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Invalid, NotFound
from registry.models import Experiment, Run, RunDataset
from registry.services.tracking.clock import now_ms

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
NAME_TAG = "mlflow.runName"
PARAM_MAX = 6000
_RUN_TAG_MAX = 8000


def create_run(
    *,
    experiment: Experiment,
    actor: Actor,
    name: str = "",
    user: str = "",
    started_ms: int | None = None,
    tags: Mapping[str, str] | None = None,
    uid: str = "",
) -> Run:
    """A new run in an active experiment; without a name it gets one."""
    if experiment.deleted:
        raise Invalid(
            f"The experiment {experiment.pk} must be in the 'active' state. Current state is deleted.",
            field="experiment_id",
        )
    uid = uid or uuid.uuid4().hex
    tags = dict(tags or {})
    named = tags.get(NAME_TAG, "")
    if name and named and name != named:
        raise Invalid(
            f"Both 'run_name' argument and '{NAME_TAG}' tag are specified, but with different values "
            f"(run_name={name!r}, {NAME_TAG}={named!r}).",
            field="run_name",
        )
    name = foreign.plain(name or named or f"run-{uid[:8]}", field="run_name", maximum=250)
    run = Run(
        uid=uid,
        experiment=experiment,
        name=name,
        user=foreign.plain(user, field="user_id", maximum=256),
        started_ms=now_ms() if started_ms is None else started_ms,
        tags=tags | {NAME_TAG: name},
        created_by=actor.name,
    )
    foreign.check_total(run.tags)
    with transaction.atomic():
        run.save(force_insert=True)
        _record(run, "run.create", actor, {"experiment": experiment.pk, "name": name})
    return run


def update_run(
    *,
    run: Run,
    actor: Actor,
    status: str | None = None,
    ended_ms: int | None = None,
    name: str | None = None,
) -> Run:
    """Change status, end or name (None: leave as it is)."""
    if status is not None and status not in STATUSES:
        raise Invalid(f"{ascii(status[:40])} is no status of a run.", field="status")
    with transaction.atomic():
        run = locked_run(run)
        if status is not None:
            run.status = status
        if ended_ms is not None:
            run.ended_ms = ended_ms
        if name:
            run.name = foreign.plain(name, field="run_name", maximum=250)
            run.tags[NAME_TAG] = run.name
        run.save(update_fields=["status", "ended_ms", "name", "tags"])
        _record(run, "run.update", actor, {"status": run.status, "name": run.name})
    return run


def delete_run(*, run: Run, actor: Actor, restore: bool = False) -> None:
    """Hide the run from searches, or show it again (`restore`)."""
    with transaction.atomic():
        run = locked_run(run, deleted=None)
        run.deleted = not restore
        run.save(update_fields=["deleted"])
        _record(run, "run.restore" if restore else "run.delete", actor)


def log_params(*, run: Run, params: Sequence[tuple[str, str]]) -> None:
    """Write parameters, cut at 6000 characters; `Invalid` when one has another value already."""
    checked = {
        foreign.key_name(key, field=f"params[{i}].key", what="param"): foreign.plain(
            value, field=f"params[{i}].value", maximum=1_000_000
        )[:PARAM_MAX]
        for i, (key, value) in enumerate(params)
    }
    if len(checked) < len(params):
        _refuse_changed(run, dict(reversed(params)), checked)
    with transaction.atomic():
        run = locked_run(run)
        _refuse_changed(run, run.params, checked)
        run.params.update(checked)
        foreign.check_total(run.params, field="params")
        run.save(update_fields=["params"])


def tag_run(*, run: Run, tags: Mapping[str, str | None]) -> None:
    """Set tags of the run, or remove them (None); `NotFound` when one to be removed is not there."""
    checked = {
        foreign.key_name(key, field="tags.key"): value
        if value is None
        else foreign.plain(value, field="tags.value", maximum=_RUN_TAG_MAX)
        for key, value in tags.items()
    }
    with transaction.atomic():
        run = locked_run(run)
        for key, value in checked.items():
            if value is not None:
                run.tags[key] = value
            elif run.tags.pop(key, None) is None:
                raise NotFound(f"No tag with name: {key} in run with id {run.uid}")
        run.name = foreign.plain(run.tags.get(NAME_TAG, run.name), field="run_name", maximum=250)
        foreign.check_total(run.tags)
        run.save(update_fields=["tags", "name"])


def log_datasets(*, run: Run, datasets: Iterable[Mapping[str, Any]]) -> None:
    """Note data sets that the run read: `{name, digest, source_type, source, schema, profile, tags}`."""
    with transaction.atomic():
        run = locked_run(run)
        for item in datasets:
            RunDataset.objects.get_or_create(
                run=run, name=item["name"], digest=item["digest"], defaults=dict(item)
            )


def log_models(*, run: Run, inputs: Iterable[str] = (), outputs: Iterable[tuple[str, int]] = ()) -> None:
    """Note logged models that the run read or wrote, each once."""
    with transaction.atomic():
        run = locked_run(run)
        for uid in inputs:
            _append(run.model_inputs, {"model_id": uid})
        for uid, step in outputs:
            _append(run.model_outputs, {"model_id": uid, "step": step})
        run.save(update_fields=["model_inputs", "model_outputs"])


def locked_run(run: Run, *, deleted: bool | None = False) -> Run:
    """The run, its row locked until the transaction ends; `Invalid` when it is deleted (None: either)."""
    found = Run.objects.select_for_update().filter(pk=run.pk).first()
    if found is None:
        raise NotFound(f"Run with id={run.uid} not found")
    if deleted is not None and found.deleted != deleted:
        raise deleted_run(run.uid)
    return found


def deleted_run(uid: str) -> Invalid:
    """What is said when a deleted run is written to."""
    return Invalid(f"The run {uid} must be in the 'active' state. Current state is deleted.", field="run_id")


def _append(items: list[dict[str, Any]], item: dict[str, Any]) -> None:
    if item not in items:
        if len(items) >= 10_000:
            raise Invalid("A run keeps at most 10000 models.", field="models")
        items.append(item)


def _refuse_changed(run: Run, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    for key, value in new.items():
        if key in old and old[key][:PARAM_MAX] != value:
            raise Invalid(
                "Changing param values is not allowed. Params were already logged="
                f"'[{{'key': {key!r}, 'old_value': {old[key][:80]!r}, 'new_value': {value[:80]!r}}}]' "
                f"for run ID='{run.uid}'.",
                field="value",
            )


def _record(run: Run, action: str, actor: Actor, after: dict[str, Any] | None = None) -> None:
    audit.record(actor=actor, action=action, target=f"runs/{run.uid}", after=after)
