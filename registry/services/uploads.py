"""Files that arrive in parts, in any order, over any time, and are resumed after any break."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePath
from typing import Any, BinaryIO

from django.db import transaction
from django.utils import timezone

from registry.domain.actor import Actor
from registry.domain.names import digest as checked_digest
from registry.domain.text import clean_line
from registry.errors import Conflict, Invalid, NotFound
from registry.models import Model, Upload
from registry.ports import ArtifactStore, Part
from registry.services.versions import check_size

PART = 16 << 20
# S3 takes 10,000 parts; larger files get larger parts.
_MOST_PARTS = 9_000
_MOST_OPEN = 10_000
# How long a client may use an address that the store signed.
_URL_SECONDS = 3600


def begin_upload(
    *, model: Model, size: Any, digest: Any, filename: Any, store: ArtifactStore, actor: Actor
) -> Upload:
    """A new upload of `size` bytes with the SHA-256 `digest`, "" where its sender cannot know it yet.

    Files of a folder may be empty; such a one has a single part of no bytes.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise Invalid("It must be a whole number of bytes.", field="size")
    check_size(size)
    digest = checked_digest(digest) if digest else ""
    name = PurePath(clean_line(filename, field="filename", maximum=255)).name
    if Upload.objects.filter(model=model, completed_at=None).count() >= _MOST_OPEN:
        raise Conflict(f"{model.name} has {_MOST_OPEN} unfinished uploads.", hint="Finish or abort some.")
    part_size = max(PART, -(-size // _MOST_PARTS))
    key = uuid.uuid4()
    ref = store.begin(str(key), size)
    return Upload.objects.create(
        id=key,
        model=model,
        digest=digest,
        size=size,
        filename=name,
        part_size=part_size,
        ref=ref,
        created_by=actor.name,
    )


def upload_of(model: Model, key: Any, *, field: str = "upload") -> Upload:
    """The model's upload of that id, or `NotFound`."""
    try:
        found = Upload.objects.filter(pk=uuid.UUID(str(key)), model=model).first()
    except ValueError:
        found = None
    if found is None:
        hint = "Begin a new one; what is not touched for a day is removed."
        raise NotFound(f"{model.name} has no upload {ascii(str(key)[:40])}.", field=field, hint=hint)
    return found


def uploads_of(model: Model, keys: Sequence[Any], *, field: str = "files") -> list[Upload]:
    """The model's uploads of those ids, in their order; `NotFound` names the first that is not there."""
    try:
        wanted = [uuid.UUID(str(key)) for key in keys]
    except ValueError:
        raise Invalid("An upload's id is not one.", field=field) from None
    found = Upload.objects.filter(model=model).in_bulk(wanted)
    lost = next((key for key in wanted if key not in found), None)
    if lost is not None:
        raise NotFound(f"{model.name} has no upload {lost}.", field=field)
    return [found[key] for key in wanted]


def received(upload: Upload, store: ArtifactStore) -> list[int]:
    """The numbers of the parts that have wholly arrived."""
    if upload.completed_at is not None:
        return list(range(1, upload.parts + 1))
    try:
        arrived = store.parts(upload.ref)
    except NotFound:
        # Put together by a process that died, or by a store that answered too late, before it was noted?
        store.finish(upload.ref)
        _completed(upload)
        return list(range(1, upload.parts + 1))
    return [n for n in range(1, upload.parts + 1) if arrived.get(n) == upload.size_of(n)]


def part_of(upload: Upload, number: int) -> Part:
    """Part `number` of the upload, or `NotFound`."""
    if not 1 <= number <= upload.parts:
        raise NotFound(f"The upload has parts 1 to {upload.parts}.", field="part")
    return Part(number, (number - 1) * upload.part_size, upload.size_of(number))


def part_address(upload: Upload, number: int, store: ArtifactStore) -> str | None:
    """Where the part may be PUT straight into the store; None where it must come through the server."""
    _check_open(upload)
    url = store.part_url(upload.ref, part_of(upload, number), _URL_SECONDS)
    _touch(upload)
    return url


def take_part(upload: Upload, number: int, stream: BinaryIO, store: ArtifactStore) -> None:
    """Store one part as it arrives; the same part may be sent again."""
    _check_open(upload)
    store.write_part(upload.ref, part_of(upload, number), stream)
    _touch(upload)


def complete_upload(*, upload: Upload, store: ArtifactStore) -> Upload:
    """Declare the upload whole; `Conflict` names the first part that is missing. Twice is no error."""
    if upload.completed_at is not None:
        return upload
    there = set(received(upload, store))
    lost = [n for n in range(1, upload.parts + 1) if n not in there]
    if lost:
        raise Conflict(
            f"{len(lost)} of {upload.parts} parts are missing, the first is part {lost[0]}.",
            field="parts",
            hint="Send them, then complete the upload again.",
        )
    if upload.completed_at is None:
        store.finish(upload.ref)
        _completed(upload)
    return upload


def abort_upload(*, upload: Upload, store: ArtifactStore) -> None:
    """Forget the upload and what arrived of it; `Conflict` when a version waits for it."""
    with transaction.atomic():
        if not Upload.objects.filter(pk=upload.pk, intake=None).delete()[0]:
            raise Conflict("A version is made of this upload.", hint="Delete the version instead.")
    store.discard(upload.ref)


def sweep_uploads(store: ArtifactStore, older_than: timedelta) -> int:
    """Remove uploads that nobody touched for so long, and what the store holds of ones nobody knows."""
    horizon, removed = timezone.now() - older_than, 0
    for upload in Upload.objects.filter(intake=None, touched_at__lte=horizon).iterator():
        if Upload.objects.filter(pk=upload.pk, intake=None, touched_at__lte=horizon).delete()[0]:
            store.discard(upload.ref)
            removed += 1
    known = set(Upload.objects.values_list("ref", flat=True))
    return removed + store.sweep(older_than.total_seconds(), known)


def _completed(upload: Upload) -> None:
    upload.completed_at = upload.touched_at = timezone.now()
    upload.save(update_fields=["completed_at", "touched_at"])


def _check_open(upload: Upload) -> None:
    if upload.completed_at is not None:
        raise Conflict("The upload is complete; it takes no more parts.")


def _touch(upload: Upload) -> None:
    Upload.objects.filter(pk=upload.pk).update(touched_at=timezone.now())
