"""Who works on a scoring job, and for how long: a lease in the database says whose it is.

Any number may claim at once, a turn may be killed at any moment, and a lost message costs a lease's length.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from monitoring import notices
from monitoring.domain.notices import Severity
from monitoring.models import ScoringJob
from monitoring.models.due import SKEW
from monitoring.models.scoring import OPEN
from monitoring.scoring import engine, jobs
from registry import telemetry
from registry.errors import DomainError, Invalid, Unavailable
from registry.ports import ArtifactStore

log = logging.getLogger(__name__)
# A turn renews it with each part; what nobody renews for so long is taken by another one.
LEASE = timedelta(minutes=2)
# A message that no worker took by then, or a pod that never came, is sent for again.
QUEUED = timedelta(minutes=10)
# After a bucket that did not answer.
AWAY = timedelta(seconds=30)
# Turns without a single part after which a job has failed.
ATTEMPTS = 5
# How often a turn says how far it is.
TELL_SECONDS = 1.0


class _Lost(Exception):
    """The job was cancelled, or another worker has it; this one stops at once."""


def claim(lease: timedelta = LEASE) -> list[ScoringJob]:
    """Jobs that are due, leased to the caller, the longest waiting first; SLIPWAY_SCORING_AT_ONCE in all."""
    now = timezone.now()
    waiting = ScoringJob.objects.select_related("version__model").filter(state__in=OPEN)
    # A lease that ends later than anybody gives one was written by a clock that was ahead.
    leased = Q(leased_until__gt=now, leased_until__lte=now + _far())
    room = settings.SLIPWAY_SCORING_AT_ONCE - waiting.filter(leased).count()
    claimed = []
    for job in waiting.exclude(leased).order_by("leased_until")[: max(0, room)]:
        if take(job, lease):
            claimed.append(job)
    return claimed


def take(job: ScoringJob, lease: timedelta = LEASE) -> bool:
    """Leases the job to the caller, unless somebody was faster."""
    until, claim = timezone.now() + lease, uuid4().hex
    free = ScoringJob.objects.filter(pk=job.pk, leased_until=job.leased_until, state__in=OPEN)
    if not free.update(leased_until=until, claim=claim):
        return False
    job.leased_until, job.claim = until, claim
    return True


def claimed(pk: int, claim: str) -> ScoringJob | None:
    """The job that was handed out with this claim, unless it was handed out anew or has ended.

    A message that is delivered again, since its worker died, goes on at once.
    """
    return _mine(pk, claim).select_related("version__model").first() if claim else None


def _mine(pk: int, claim: str) -> QuerySet[ScoringJob]:
    return ScoringJob.objects.filter(pk=pk, claim=claim, state__in=OPEN)


def _far() -> timedelta:
    return max(LEASE, QUEUED) + SKEW


def release(job: ScoringJob) -> None:
    """Gives a claimed job back at once: the queue did not take it."""
    _mine(job.pk, job.claim).update(leased_until=timezone.now(), claim="")


def work(job: ScoringJob, store: ArtifactStore, stop: Callable[[], bool] = lambda: False) -> bool:
    """One turn of a claimed job, until `stop` says so after a part; whether there is more to do.

    The row says what became of it: `failed` with the reason, `succeeded` with the result.
    """
    with telemetry.step("scoring", model=job.version.model.name, scoring_job=job.pk):
        return _work(job, store, stop)


def _work(job: ScoringJob, store: ArtifactStore, stop: Callable[[], bool]) -> bool:
    try:
        kept = _Turn(job, stop).run(store)
    except _Lost:
        log.info("scoring job %s was cancelled or is done by another worker", job.pk)
        return False
    except SoftTimeLimitExceeded:
        return _later(job, "No chunk was done within the time of a turn: use fewer rows a chunk.")
    except DatabaseError:
        raise
    except DomainError as error:
        return _later(job, str(error)) if isinstance(error, Unavailable) else _failed(job, str(error))
    except Exception as error:
        log.exception("scoring job %s broke", job.pk)
        return _later(job, f"Slipway made a mistake; its log says which ({type(error).__name__}).")
    if kept is None:
        _settle(job, leased_until=timezone.now())
        return True
    state = kept["result"]["state"]
    log.info("scoring job %s scored %s rows: %s", job.pk, kept["rows"], state)
    said = f"{kept['rows']:,} rows are in {job.target}; against the baseline: {state}."
    _end(job, "drifted" if state == "drifted" else "succeeded", said, state="succeeded", error="", **kept)
    return False


class _Turn:
    """Runs the engine and keeps the row, and the lease in it, up to date."""

    def __init__(self, job: ScoringJob, stop: Callable[[], bool]) -> None:
        self._job, self._stop = job, stop
        self._told_at = 0.0

    def run(self, store: ArtifactStore) -> dict[str, Any] | None:
        """What the row keeps of the result; None when there is more to do."""
        job = self._job
        if job.attempts >= ATTEMPTS:
            raise Invalid(f"Its worker died {job.attempts} times without a part: use fewer rows a chunk.")
        job.attempts += 1
        self._renew(state="running", attempts=job.attempts, started_at=job.started_at or timezone.now())
        result = engine.score(jobs.what(job), store, self._tell, self._stop)
        return None if result is None else _kept(job, result)

    def _tell(self, progress: engine.Progress) -> None:
        if time.monotonic() - self._told_at > TELL_SECONDS:
            self._job.attempts = 0
            self._renew(attempts=0, error="", **asdict(progress))
            self._told_at = time.monotonic()

    def _renew(self, **changes: Any) -> None:
        """Raises _Lost unless the job is still open and ours."""
        job = self._job
        if not _mine(job.pk, job.claim).update(leased_until=timezone.now() + LEASE, **changes):
            raise _Lost


def _later(job: ScoringJob, why: str) -> bool:
    """Tries again after a while; too many turns without a part and it has failed."""
    if job.attempts >= ATTEMPTS:
        return _failed(job, why)
    _settle(job, leased_until=timezone.now() + AWAY, error=why)
    log.warning("scoring job %s is tried again: %s", job.pk, why)
    return True


def _failed(job: ScoringJob, why: str) -> bool:
    log.warning("scoring job %s failed: %s", job.pk, why)
    _end(job, "failed", why, state="failed", error=why)
    return False


def _end(job: ScoringJob, kind: str, text: str, **changes: Any) -> None:
    """Writes how it ended, and tells those who want to hear it."""
    with transaction.atomic():
        if _settle(job, ended_at=timezone.now(), **changes):
            notices.notify(
                kind=f"scoring.{kind}",
                severity=Severity.INFO if kind == "succeeded" else Severity.WARNING,
                title=f"Scoring with {job.version.ref}: {kind}",
                text=text,
                path=f"/scorings/{job.pk}/",
            )


def _settle(job: ScoringJob, **changes: Any) -> bool:
    """Writes what became of a turn; False when somebody else has the job by now."""
    return bool(_mine(job.pk, job.claim).update(claim="", **changes))


def _kept(job: ScoringJob, result: dict[str, Any]) -> dict[str, Any]:
    """What the row keeps of a result: everything but the names of the parts, and the document's digest."""
    content = jobs.what(job).target.read(engine.RESULT)
    return {
        "result": {key: value for key, value in result.items() if key != "parts"},
        "result_digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "rows": result["rows"],
        "parts": len(result["parts"]),
        "share": 1.0,
    }
