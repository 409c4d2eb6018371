"""What a request names as the content of a version: completed uploads, one file or the files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.domain.manifest import MAX_FILES, FileEntry, checked_path, manifest_of
from registry.errors import Invalid
from registry.models import Model, Upload
from registry.ports import ArtifactStore
from registry.services.content import Content, store_manifest
from registry.services.uploads import upload_of, uploads_of


@dataclass(frozen=True, slots=True)
class Arrived:
    """A completed upload and its path in a folder; "" for a single file."""

    path: str
    upload: Upload


def arrived(model: Model, upload: Any, files: Any) -> list[Arrived]:
    """Either `upload`, the id of one, or `files`, `[{"path", "upload"}…]`; the other is None.

    `Invalid` for anything else, `NotFound` for an upload that the model does not have.
    """
    if (upload is None) == (files is None):
        raise Invalid("Name either an upload or a list of files.", field="upload")
    if upload is not None:
        return [Arrived("", upload_of(model, upload))]
    if not isinstance(files, list) or not files or len(files) > MAX_FILES:
        raise Invalid(f"It must be a list of 1 to {MAX_FILES} files.", field="files")
    if not all(isinstance(item, dict) and set(item) == {"path", "upload"} for item in files):
        raise Invalid("A file is an object with `path` and `upload`.", field="files")
    found = uploads_of(model, [item["upload"] for item in files])
    return [
        Arrived(checked_path(item["path"], field=f"files[{i}].path"), upload)
        for i, (item, upload) in enumerate(zip(files, found, strict=True))
    ]


def declared(files: Sequence[Arrived], store: ArtifactStore) -> Content:
    """The content as its senders describe it; every byte of it is checked later.

    A sender that could not know a file's digest leaves it empty; a folder's own is then empty too.
    """
    if not files:
        raise Invalid("It has no files.", field="files")
    lone = files[0].upload if len(files) == 1 and not files[0].path else None
    if lone is not None:
        return Content(lone.digest, lone.size)
    entries = [FileEntry(checked_path(one.path), one.upload.digest, one.upload.size) for one in files]
    manifest = manifest_of(entries)
    if all(entry.digest for entry in entries):
        return store_manifest(manifest, store)
    return Content("", manifest.size, manifest.files)


def remember_places(files: Sequence[Arrived]) -> None:
    """Note at the uploads without a digest which file of the folder they are."""
    unnamed = [one for one in files if one.path and not one.upload.digest]
    for one in unnamed:
        one.upload.path = one.path
    Upload.objects.bulk_update([one.upload for one in unnamed], ["path"], batch_size=500)
