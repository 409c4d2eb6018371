"""Versions that are registered before their content is verified and inspected, and the work that does it.

Every step can be repeated: a worker that dies leaves a lease that runs out, and the next one goes on.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import SYSTEM, Actor
from registry.domain.draft import VersionDraft
from registry.domain.manifest import manifest_of
from registry.domain.states import State
from registry.errors import Conflict, DomainError, Invalid, NotFound, TooLarge, Unavailable
from registry.inspect.sandbox import Inspection, inspect_file
from registry.models import Intake, Model, Upload, Version, VersionFile
from registry.ports import ArtifactStore
from registry.services import blobs, joining, measuring
from registry.services.arrivals import Arrived, declared, remember_places
from registry.services.content import Content, content_of, entries_of, local_copy, store_manifest
from registry.services.inheriting import taken_over
from registry.services.versions import (
    check_size,
    concluded,
    new_version,
    parent_of,
    record_version,
    target,
)

log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_LEASE = timedelta(seconds=30)
# How often a worker says how far it is, and that it lives.
_TELL_SECONDS = 2.0
# Of its metrics an audit entry names so many.
_TOLD = 20
_STORE_IS_AWAY = timedelta(seconds=15)


class LeaseLost(Exception):
    """Another worker took over; this one stops at once."""


def submit_version(
    *,
    model: Model,
    artifact: Content | Sequence[Arrived],
    store: ArtifactStore,
    actor: Actor,
    draft: VersionDraft | None = None,
    reference: Upload | Content | None = None,
    filename: str = "",
    reason: str = "",
) -> Version:
    """Record the next version now; it is `pending` until a worker has verified and inspected its content.

    `artifact` is content that is stored already, or completed uploads: one with the path "", or the files of
    a folder. A version that is refused later keeps its number and the reason, and none of its content.
    """
    draft = draft or VersionDraft()
    parent = parent_of(model, draft.parent)
    uploads = [] if isinstance(artifact, Content) else [one.upload for one in artifact]
    if isinstance(reference, Upload):
        uploads.append(reference)
    content = artifact if isinstance(artifact, Content) else declared(artifact, store)
    check_size(content.size)
    if not filename and not isinstance(artifact, Content) and not content.files:
        filename = artifact[0].upload.filename
    kept = Content(reference.digest, reference.size) if isinstance(reference, Upload) else reference
    version = new_version(model, draft, parent, content, PurePath(filename).name[:255], reference=kept)
    with transaction.atomic():
        record_version(version, content, draft, actor=actor, reason=reason)
        total = sum(upload.size for upload in uploads)
        intake = Intake.objects.create(version=version, total_bytes=total)
        keys = [upload.pk for upload in uploads]
        free = Upload.objects.filter(pk__in=keys, intake=None).exclude(completed_at=None)
        if free.update(intake=intake) != len(set(keys)) or len(set(keys)) != len(keys):
            raise Conflict("An upload is incomplete, or used already.", field="upload")
        if isinstance(reference, Upload):
            Upload.objects.filter(pk=reference.pk).update(is_reference=True)
        if not isinstance(artifact, Content):
            remember_places(artifact)
    return version


def claim(limit: int, lease: timedelta = _LEASE) -> list[Intake]:
    """Intakes that nobody works on, leased to the caller; the longest waiting first."""
    now, claimed = timezone.now(), []
    for intake in Intake.objects.filter(leased_until__lte=now).order_by("leased_until")[:limit]:
        if _lease(intake, lease):
            claimed.append(intake)
    return claimed


def work(intake: Intake, store: ArtifactStore) -> None:
    """Take one leased intake to its end: the version is ready, or refused with a reason.

    What cannot be reached now is tried again later; what fails three times for reasons unknown is refused.
    """
    version = Version.objects.select_related("model").get(pk=intake.version_id)
    try:
        _begin(intake, version)
        _verify(intake, version, store)
        joining.join_what_lies_beside(intake, version, store)
        _conclude(intake, version, _inspect(intake, version, store))
    except LeaseLost:
        log.info("%s: another worker took over", version)
    except Unavailable as error:
        log.warning("%s: %s", version, error)
        Intake.objects.filter(pk=intake.pk, leased_until=intake.leased_until).update(
            leased_until=timezone.now() + _STORE_IS_AWAY, attempts=0
        )
    except (Invalid, TooLarge, NotFound) as error:
        _refuse(intake, version, error, store)


def _begin(intake: Intake, version: Version) -> None:
    intake.attempts += 1
    Intake.objects.filter(pk=intake.pk).update(attempts=intake.attempts)
    if version.deleted_at is not None:
        raise Invalid("It was deleted before it was inspected.", field="artifact")
    if intake.attempts > Intake.ATTEMPTS:
        told = f"Its inspection died {Intake.ATTEMPTS} times without a reason."
        raise Invalid(told, field="artifact", hint="Check that the model loads on your machine.")


def _verify(intake: Intake, version: Version, store: ArtifactStore) -> None:
    """Hash every upload and move it to its digest; what a worker before did is not done again."""
    version.settle(state=State.VERIFYING.value)
    verified = intake.total_bytes - sum(intake.uploads.values_list("size", flat=True))
    for upload in intake.uploads.order_by("created_at"):
        base = verified

        def tell(done: int, base: int = base) -> None:
            _renew(intake, done_bytes=base + done)

        try:
            _name(version, upload, _hash(upload, store, tell))
        except NotFound:
            # Moved already by a worker that died before it could say so?
            if not upload.digest or not store.exists(upload.digest):
                raise
        store.keep(upload.ref, upload.digest)
        Upload.objects.filter(pk=upload.pk).delete()
        verified += upload.size
    if version.is_folder and not version.digest:
        version.settle(digest=store_manifest(manifest_of(entries_of(version)), store).digest)


def _name(version: Version, upload: Upload, found: str) -> None:
    """The digest must be what was said; a sender that could not know it takes ours."""
    if upload.digest and found != upload.digest:
        raise Invalid(
            f"{upload.filename or 'The file'} was said to be {upload.digest}, but is {found}.",
            field="digest",
            hint="It was damaged on its way: upload it again.",
        )
    if not upload.digest:
        if upload.path:
            VersionFile.verified(version, upload.path, found)
        else:
            version.settle(**{"reference_digest" if upload.is_reference else "digest": found})
        upload.digest = found
        upload.save(update_fields=["digest"])


def _hash(upload: Upload, store: ArtifactStore, tell: Callable[[int], None]) -> str:
    """SHA-256 of what arrived, in constant memory; `Invalid` when it is not as long as was said."""
    sha, done, told_at = hashlib.sha256(), 0, time.monotonic()
    with store.open_upload(upload.ref) as stream:
        while chunk := stream.read(_CHUNK):
            sha.update(chunk)
            done += len(chunk)
            if time.monotonic() - told_at > _TELL_SECONDS:
                tell(done)
                told_at = time.monotonic()
    if done != upload.size:
        raise Invalid(f"{done} of {upload.size} bytes arrived.", field="artifact", hint="Upload it again.")
    tell(done)
    return f"sha256:{sha.hexdigest()}"


def _inspect(intake: Intake, version: Version, store: ArtifactStore) -> Inspection:
    version.settle(state=State.INSPECTING.value)
    content, digest = content_of(version), version.reference_digest
    with local_copy(content, store) as place:
        _renew(intake)
        if not digest:
            return _looked_at(intake, version, place, None)
        with local_copy(Content(digest, 0), store) as reference:
            return _looked_at(intake, version, place, reference)


def _looked_at(intake: Intake, version: Version, place: Path, reference: Path | None) -> Inspection:
    return inspect_file(
        place,
        reference=reference,
        feature_names=version.feature_names,
        filename=version.filename,
        tell=lambda: _renew(intake),
    )


def _conclude(intake: Intake, version: Version, found: Inspection) -> None:
    with transaction.atomic():
        _renew(intake)
        parameters, points = taken_over(version)
        known = concluded(found, version.signature) | ({"hyperparameters": parameters} if parameters else {})
        if version.settle(state=State.READY.value, **known):
            measuring.append(version, points)
            codes = [finding["code"] for finding in found.findings]
            after: dict[str, Any] = {"state": version.state, "digest": version.digest, "findings": codes}
            if points:
                after["metrics"] = {point.name: point.value for point in points[:_TOLD]}
            audit.record(actor=SYSTEM, action="version.ready", target=target(version), after=after)
        intake.delete()


def _refuse(intake: Intake, version: Version, error: DomainError, store: ArtifactStore) -> None:
    """The reason stays, the content goes: uploads at once, stored files unless another version has them."""
    problem = {"message": error.message, "field": error.field, "hint": error.hint}
    uploads = list(intake.uploads.all())
    content, reference = content_of(version), version.reference_digest
    with transaction.atomic():
        _renew(intake)
        if version.settle(state=State.REFUSED.value, problem=problem):
            audit.record(
                actor=SYSTEM,
                action="version.refuse",
                target=target(version),
                after=problem,
                reason=error.message,
            )
        intake.uploads.all().delete()
        intake.delete()
    for upload in uploads:
        store.discard(upload.ref)
    left = {digest for digest in (*content.digests, reference) if digest}
    blobs.free(sorted(left), store, actor=SYSTEM, reason=f"{version} was refused")


def _lease(intake: Intake, lease: timedelta, **progress: int) -> bool:
    """Compare and set: true when the lease was still as this process knows it."""
    until: datetime = timezone.now() + lease
    mine = Intake.objects.filter(pk=intake.pk, leased_until=intake.leased_until)
    if not mine.update(leased_until=until, **progress):
        return False
    intake.leased_until = until
    return True


def _renew(intake: Intake, lease: timedelta = _LEASE, **progress: int) -> None:
    if not _lease(intake, lease, **progress):
        raise LeaseLost
