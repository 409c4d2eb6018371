"""Files by path: put, listed, read and removed. Content goes to the artifact store, in bounded memory."""

from __future__ import annotations

import tempfile
from typing import IO, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from registry.domain.foreign import artifact_path
from registry.errors import Conflict, Invalid, NotFound, TooLarge
from registry.models import TrackedFile
from registry.ports import ArtifactStore, StoredArtifact

_CHUNK = 1 << 18


def put_file(*, path: str, stream: BinaryIO, store: ArtifactStore, length: int | None = None) -> TrackedFile:
    """Store what `stream` holds under the path, replacing what was there; `TooLarge` at the limit in force.

    `length` is how many bytes were announced: a stream that ends before is refused (`Invalid`) and leaves
    nothing. `Conflict` when a part of the path is a file, or the path is a folder.
    """
    path = artifact_path(path)
    if not path:
        raise Invalid("The path names no file.", field="path")
    with tempfile.TemporaryFile(prefix="slipway-put-") as spool:
        _copy(stream, spool, length)
        spool.seek(0)
        stored = store.put(spool)
        file = _enter(path, stored)
        # A clean-up may have freed equal content just before this file began to need it.
        if not store.exists(stored.digest):
            spool.seek(0)
            store.put(spool)
    return file


def _enter(path: str, stored: StoredArtifact) -> TrackedFile:
    parent, _, name = path.rpartition("/")
    with transaction.atomic():
        _ensure_folder(parent)
        file, made = TrackedFile.objects.get_or_create(
            parent=parent, name=name, defaults={"digest": stored.digest, "size": stored.size}
        )
        if not made:
            if file.is_folder:
                raise Conflict(f"{path[:200]} is a folder.", field="path")
            file.digest, file.size = stored.digest, stored.size
            file.save(update_fields=["digest", "size"])
    return file


def file_at(path: str) -> TrackedFile:
    """The file at the path; `NotFound` when there is none, `Invalid` when it is a folder."""
    path = artifact_path(path)
    parent, _, name = path.rpartition("/")
    file = TrackedFile.objects.filter(parent=parent, name=name).first()
    if file is None:
        raise NotFound(f"No such artifact: {path[:200]}")
    if file.is_folder:
        raise Invalid(f"{path[:200]} is a folder.", field="path")
    return file


def list_folder(path: str) -> list[TrackedFile]:
    """What lies directly in the folder, by name; nothing for a path that is no folder."""
    return list(TrackedFile.objects.filter(parent=artifact_path(path)).order_by("name"))


def delete_path(path: str) -> int:
    """Remove the file, or the folder with all below it; returns how many entries went.

    Content stays in the store, where versions may refer to it.
    """
    path = artifact_path(path)
    if not path:
        raise Invalid("The root itself is not removed.", field="path")
    parent, _, name = path.rpartition("/")
    below = Q(parent=path) | Q(parent__startswith=f"{path}/")
    return TrackedFile.objects.filter(Q(parent=parent, name=name) | below).delete()[0]


def find_onnx(folder: str) -> tuple[TrackedFile | None, str]:
    """The one ONNX file in a folder or below it, or the reason why there is none."""
    folder = artifact_path(folder)
    files = TrackedFile.objects.exclude(digest="").filter(name__endswith=".onnx")
    found = list(files.filter(Q(parent=folder) | Q(parent__startswith=f"{folder}/"))[:3])
    if not found:
        parent, _, name = folder.rpartition("/")
        found = list(files.filter(parent=parent, name=name))
    if not found:
        return None, "There is no ONNX file among its artifacts, and only ONNX models are served."
    if len(found) > 1:
        first = [file for file in found if file.parent == folder and file.name == "model.onnx"]
        if not first:
            return None, "There are several ONNX files among its artifacts, and none is named model.onnx."
        found = first
    return found[0], ""


def _ensure_folder(path: str) -> None:
    """Enter the folder and those above it; stops at the first that is there."""
    while path:
        parent, _, name = path.rpartition("/")
        found = TrackedFile.objects.filter(parent=parent, name=name).values_list("digest", flat=True).first()
        if found is not None:
            if found:
                raise Conflict(f"{path[:200]} is a file.", field="path")
            return
        try:
            with transaction.atomic():
                TrackedFile.objects.create(parent=parent, name=name)
        except IntegrityError:
            return  # another upload entered it at the same moment
        path = parent


def _copy(stream: BinaryIO, spool: IO[bytes], length: int | None) -> None:
    total, limit = 0, settings.SLIPWAY_MAX_ARTIFACT_MB << 20
    while (length is None or total < length) and (chunk := stream.read(_CHUNK)):
        total += len(chunk)
        if max(total, length or 0) > limit:
            raise TooLarge(
                f"The file has more than {settings.SLIPWAY_MAX_ARTIFACT_MB} MiB.",
                field="path",
                hint="An administrator can raise SLIPWAY_MAX_ARTIFACT_MB.",
            )
        spool.write(chunk)
    if length is not None and total != length:
        raise Invalid(
            f"The upload ended after {total} of {length} bytes.", field="path", hint="Send it again."
        )
