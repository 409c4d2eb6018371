"""Registering versions, annotating and deleting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.draft import Point, VersionDraft
from registry.domain.states import State
from registry.domain.text import clean_tags, clean_text
from registry.errors import Conflict, Invalid, NotFound, TooLarge
from registry.inspect.limits import Limits
from registry.inspect.sandbox import Inspection, inspect_file
from registry.models import Model, Version, VersionFile
from registry.models.signals import version_deleting
from registry.ports import ArtifactStore
from registry.prepared import PreparedRows
from registry.services import measuring
from registry.services.aliases import delete_alias
from registry.services.content import Content, all_there, local_copy, store_path
from registry.services.models import locked
from registry.services.models import target as model_target
from registry.services.numbering import save_as_next

_LOCKED = PreparedRows(
    Version,
    lambda pk: Version.objects.select_for_update(no_key=True).filter(pk=pk, deleted_at=None).order_by(),
    pk=-1,
)


def register_version(
    *,
    model: Model,
    artifact: Path | Content,
    store: ArtifactStore,
    actor: Actor,
    draft: VersionDraft | None = None,
    reference: Path | None = None,
    filename: str = "",
    reason: str = "",
    limits: Limits | None = None,
) -> Version:
    """Inspect a file or folder, store it, and record it as the model's next version.

    `artifact` is a place on this machine, or content that is stored already. Inspection and hashing happen
    outside any transaction; what is refused (`Invalid`, `TooLarge`) leaves nothing behind. Numbers are 1, 2,
    3… per model without gaps, also under concurrent calls. `reference` is a .npz with `X` and optionally
    `y`; the baseline profile is computed from it, and it is kept with the version.
    """
    draft = draft or VersionDraft()
    with _on_this_machine(artifact, store) as place:
        check_size(size_on_disk(place))
        parent = parent_of(model, draft.parent)
        filename = Path(filename or (artifact.name if isinstance(artifact, Path) else "")).name[:255]
        found = inspect_file(
            place,
            reference=reference,
            feature_names=draft.feature_names,
            filename=filename,
            limits=limits,
        )
        content = store_path(place, store) if isinstance(artifact, Path) else artifact
        kept = store_path(reference, store) if reference else None
        version = new_version(model, draft, parent, content, filename, found=found, reference=kept)
        record_version(version, content, draft, actor=actor, reason=reason)
        # A clean-up may have freed equal content just before this version began to need it.
        if not all_there(content, store):
            store_path(place, store)
    return version


def record_version(
    version: Version, content: Content, draft: VersionDraft, *, actor: Actor, reason: str
) -> None:
    """One short transaction: the number, the version with its files and metrics, the audit entry."""
    with transaction.atomic():
        version.created_by = actor.name
        save_as_next(version)
        VersionFile.objects.bulk_create(
            [VersionFile(version=version, **asdict(file)) for file in content.files], batch_size=500
        )
        measuring.append(version, [Point(name, value) for name, value in draft.metrics.items()])
        audit.record(
            actor=actor,
            action="version.register",
            target=target(version),
            after=_summary(version) | {"metrics": draft.metrics},
            reason=reason,
        )


def new_version(
    model: Model,
    draft: VersionDraft,
    parent: Version | None,
    content: Content,
    filename: str,
    *,
    found: Inspection | None = None,
    reference: Content | None = None,
) -> Version:
    """The row, without a number yet; pending when nothing was `found` yet."""
    said = asdict(draft)
    del said["metrics"], said["parent"]
    return Version(
        model=model,
        parent=parent,
        digest=content.digest,
        size=content.size,
        file_count=len(content.files),
        filename=filename,
        reference_digest=reference.digest if reference else "",
        state=(State.READY if found else State.PENDING).value,
        **{**said, **(concluded(found, draft.signature) if found else {})},
    )


def concluded(found: Inspection, said: Mapping[str, Any]) -> dict[str, Any]:
    """What was found, as the version's fields; the signature as `said` where the file tells none."""
    fields = asdict(found)
    silent = not (found.signature.get("inputs") or found.signature.get("outputs"))
    return {**fields, "signature": dict(said)} if said and silent else fields


def annotate_version(
    *,
    version: Version,
    actor: Actor,
    notes: str | None = None,
    tags: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Version:
    """Change a version's notes or tags, the only things about it that may change (None: leave as it is)."""
    with transaction.atomic():
        version = locked_version(version)
        before = {"notes": version.notes, "tags": version.tags}
        if notes is not None:
            version.notes = clean_text(notes, field="notes", maximum=20_000)
        if tags is not None:
            version.tags = clean_tags(tags)
        version.updated_at = timezone.now()
        version.save(update_fields=["notes", "tags", "updated_at"])
        audit.record(
            actor=actor,
            action="version.annotate",
            target=target(version),
            before=before,
            after={"notes": version.notes, "tags": version.tags},
            reason=reason,
        )
    return version


def delete_version(*, version: Version, actor: Actor, reason: str = "", with_aliases: bool = False) -> None:
    """Hide the version; its number is never given again and its artifact stays.

    `Conflict` when an alias points at it (unless `with_aliases`: then they go too), an endpoint serves it,
    or one could be rolled back to it.
    """
    with transaction.atomic():
        model = locked(version.model)
        version = locked_version(version)
        for name in list(version.aliases.values_list("name", flat=True)) if with_aliases else ():
            delete_alias(model=model, name=name, actor=actor, reason=reason)
        alias = version.aliases.first()
        if alias is not None:
            raise Conflict(
                f"The alias {alias.name!r} points at {version}.", hint="Move or delete the alias first."
            )
        version_deleting.send(sender=Version, version=version)
        version.deleted_at = timezone.now()
        version.save(update_fields=["deleted_at"])
        model.save(update_fields=["updated_at"])
        audit.record(
            actor=actor,
            action="version.delete",
            target=target(version),
            before=_summary(version),
            reason=reason,
        )


def check_size(size: int) -> None:
    """`TooLarge` when an artifact of `size` bytes is over the limit in force."""
    if size > settings.SLIPWAY_MAX_ARTIFACT_MB << 20:
        raise TooLarge(
            f"The file has more than {settings.SLIPWAY_MAX_ARTIFACT_MB} MiB.",
            field="artifact",
            hint="An administrator can raise SLIPWAY_MAX_ARTIFACT_MB.",
        )


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.stat().st_size


def target(version: Version) -> str:
    """How the audit trail names a version."""
    return f"{model_target(version.model)}/versions/{version.number}"


@contextmanager
def _on_this_machine(artifact: Path | Content, store: ArtifactStore) -> Iterator[Path]:
    if isinstance(artifact, Path):
        yield artifact
        return
    with local_copy(artifact, store) as place:
        yield place


def parent_of(model: Model, number: int | None) -> Version | None:
    """The live version that a draft names as its parent, or `Invalid`."""
    if number is None:
        return None
    parent = Version.objects.filter(model=model, number=number, deleted_at=None).first()
    if parent is None:
        raise Invalid(f"{model.name} has no version {number}.", field="parent")
    return parent


def locked_version(version: Version) -> Version:
    """The live version, its row locked until the transaction ends; `NotFound` when it was deleted."""
    found = _LOCKED.find(pk=version.pk)
    if not found:
        raise NotFound(f"{version} was deleted.")
    found[0].model = version.model
    return found[0]


def _summary(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "label": version.label,
        "digest": version.digest,
        "size": version.size,
        "parent": version.parent.number if version.parent else None,
        "git_sha": version.git_sha,
        "findings": [finding["code"] for finding in version.findings],
    }
