"""Which stored content somebody needs, and freeing what nobody does.

Freeing holds the lock on the end of the audit chain, which every registration takes last before it commits:
a registration is seen here, or finds its content gone and stores it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.states import State
from registry.models import TrackedFile, Version, VersionFile
from registry.models.signals import digests_needed
from registry.ports import ArtifactStore

_BATCH = 500
# What was deleted can be looked at again for so long.
GRACE = timedelta(days=30)


def needed(digests: Collection[str], *, deleted_since: datetime) -> set[str]:
    """Those of `digests` that a version, a tracked file, or an app above, needs.

    Refused versions need nothing; deleted ones only if they were deleted after `deleted_since`.
    """
    kept = Q(deleted_at=None) | Q(deleted_at__gt=deleted_since)
    versions = Version.objects.filter(kept).exclude(state=State.REFUSED.value)
    files = VersionFile.objects.filter(version__in=versions, digest__in=digests)
    found = {
        *versions.filter(digest__in=digests).values_list("digest", flat=True),
        *versions.filter(reference_digest__in=digests).values_list("reference_digest", flat=True),
        *files.values_list("digest", flat=True),
        *TrackedFile.objects.filter(digest__in=digests).values_list("digest", flat=True),
    }
    for _, answer in digests_needed.send(sender=Version, digests=frozenset(digests)):
        found |= set(answer or ())
    return found


def unneeded(store: ArtifactStore, grace: timedelta = GRACE) -> list[str]:
    """Everything in the store that nobody needs; a few queries per 500 digests."""
    found: list[str] = []
    since = timezone.now() - grace
    for batch in _batches(store.digests()):
        kept = needed(batch, deleted_since=since)
        found += [digest for digest in batch if digest not in kept]
    return found


def free(
    digests: Iterable[str], store: ArtifactStore, *, actor: Actor, reason: str, grace: timedelta = GRACE
) -> list[str]:
    """Delete the content that nobody needs at that very moment, one by one; returns what was deleted."""
    freed = []
    for digest in digests:
        with transaction.atomic():
            audit.lock()
            if needed([digest], deleted_since=timezone.now() - grace) or not store.exists(digest):
                continue
            store.delete(digest)
            audit.record(actor=actor, action="artifact.free", target=f"artifacts/{digest}", reason=reason)
            freed.append(digest)
    return freed


def _batches(digests: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for digest in digests:
        batch.append(digest)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
