"""What people do with scoring jobs: start, cancel, resume, look. One verb, one function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from monitoring.adapters.tables.places import Places, shown
from monitoring.models import ScoringJob
from monitoring.models.scoring import OPEN
from monitoring.scoring import engine
from registry import audit
from registry.domain.actor import Actor
from registry.domain.text import clean_line
from registry.errors import Conflict, NotFound
from registry.identity import AnyUser, visible
from registry.models import Version

# Of one version's jobs, so that nobody fills the queue by a loop.
MAX_OPEN = 100


def places() -> Places:
    """Where tables may be read and written on behalf of people."""
    return Places(settings.SLIPWAY_TABLES)


def start(
    *,
    version: Version,
    source: str,
    target: str,
    actor: Actor,
    chunk_rows: int = engine.CHUNK_ROWS,
    reason: str = "",
) -> ScoringJob:
    """A new job, queued. Invalid names the bad field: a place that is not allowed, or holds no table."""
    engine.check_scorable(version)
    found = places()
    full = [
        found.resolve(clean_line(place, field=name, maximum=500), field=name)
        for name, place in (("source", source), ("target", target))
    ]
    _engine_job(version, full, chunk_rows).plan()
    with transaction.atomic(), _one_writer():
        _room(version, shown(full[1]))
        job = ScoringJob.objects.create(
            version=version,
            source=shown(full[0]),
            target=shown(full[1]),
            chunk_rows=chunk_rows,
            created_by=str(actor)[:150],
        )
        _record(job, "start", actor, reason, None)
    return job


@contextmanager
def _one_writer() -> Iterator[None]:
    """What `_room` finds out, when two ask at the same moment."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Conflict("Another job writes there.", field="target", hint="Name another folder.") from error


def _room(version: Version, target: str) -> None:
    """Two jobs must not write into one folder, and one model's must not keep all others waiting."""
    waiting = ScoringJob.objects.filter(state__in=OPEN)
    if found := waiting.filter(target=target).first():
        raise Conflict(f"Scoring job {found.pk} writes there.", field="target", hint="Name another folder.")
    if waiting.filter(version__model=version.model_id).count() >= MAX_OPEN:
        raise Conflict(f"{MAX_OPEN} jobs of this model wait already.", hint="Cancel some, or wait.")


def cancel(job: ScoringJob, *, actor: Actor, reason: str = "") -> ScoringJob:
    """Stops a job after its chunk at hand; its parts stay. Conflict when it has ended."""
    with transaction.atomic():
        row = _locked(job)
        if not row.is_open:
            raise Conflict(f"The job has {row.state} already.")
        before = row.state
        row.state, row.ended_at = "cancelled", timezone.now()
        row.save(update_fields=["state", "ended_at"])
        _record(row, "cancel", actor, reason, before)
    return row


def resume(job: ScoringJob, *, actor: Actor, reason: str = "") -> ScoringJob:
    """Goes on with a failed or cancelled job after its last part. Conflict when it is neither."""
    with transaction.atomic():
        row = _locked(job)
        if row.state not in {"failed", "cancelled"}:
            raise Conflict(f"The job is {row.state}: there is nothing to resume.")
        _room(row.version, row.target)
        before = row.state
        row.state, row.error, row.ended_at, row.attempts = "queued", "", None, 0
        row.leased_until = timezone.now()
        with _one_writer():
            row.save(update_fields=["state", "error", "ended_at", "attempts", "leased_until"])
        _record(row, "resume", actor, reason, before)
    return row


def visible_to(user: AnyUser) -> QuerySet[ScoringJob]:
    """The jobs of the models that the user may view, newest first."""
    return ScoringJob.objects.filter(visible(user, "version__model__")).select_related("version__model")


def by_id(user: AnyUser, pk: int) -> ScoringJob:
    """One of them, or NotFound."""
    found = visible_to(user).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no scoring job {pk}.")
    return found


def what(job: ScoringJob) -> engine.Job:
    """The job as the engine takes it. Invalid when its places are allowed no more."""
    found = places()
    full = [found.resolve(getattr(job, name), field=name) for name in ("source", "target")]
    return _engine_job(job.version, full, job.chunk_rows)


def _engine_job(version: Version, full: list[str], chunk_rows: int) -> engine.Job:
    # It brings pyarrow, which only those need who look at tables.
    from monitoring.adapters.tables.folder import Folder

    return engine.Job(version, Folder(full[0]), Folder(full[1]), chunk_rows)


def document(job: ScoringJob) -> dict[str, Any]:
    """A job as the API answers it."""
    fields = (
        "id", "state", "chunk_rows", "file", "files", "parts", "rows", "share", "result", "result_digest",
        "error", "created_by", "created_at", "started_at", "ended_at",
    )  # fmt: skip
    return {
        "model": job.version.model.name,
        "version": job.version.number,
        "digest": job.version.digest,
        "source": job.source,
        "target": job.target,
        **{name: getattr(job, name) for name in fields},
    }


def _locked(job: ScoringJob) -> ScoringJob:
    return ScoringJob.objects.select_for_update(of=("self",)).select_related("version__model").get(pk=job.pk)


def _record(job: ScoringJob, verb: str, actor: Actor, reason: str, before: str | None) -> None:
    version = job.version
    audit.record(
        actor=actor,
        action=f"scoring.{verb}",
        target=f"models/{version.model.name}/versions/{version.number}/scorings/{job.pk}",
        before={"state": before} if before else None,
        after={
            "state": job.state,
            "source": job.source,
            "target": job.target,
            "chunk_rows": job.chunk_rows,
        },
        reason=reason,
    )
