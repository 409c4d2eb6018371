"""Versions of tracked files: what an ONNX file's tensors keep beside it becomes part of the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from registry.domain.manifest import FileEntry
from registry.inspect.sandbox import join_external
from registry.models import Intake, TrackedFile, Version
from registry.ports import ArtifactStore
from registry.services.content import Content, local_copy

_FILE = "model.onnx"
# What MLflow writes beside every model; it holds no tensors, and a folder with nothing else needs no look.
_DESCRIBING = {
    "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
    "serving_input_example.json", "registered_model_meta",
}  # fmt: skip


def join_what_lies_beside(intake: Intake, version: Version, store: ArtifactStore) -> None:
    """Make one file of the version's ONNX file and its external data, when it has some; errors as inspected.

    The version's digest and size are then those of that file. Done again it gives the same.
    """
    if intake.folder is None:
        return
    beside = _beside(intake.folder, version.filename)
    if not beside:
        return
    own = FileEntry(_FILE, version.digest, version.size)
    with (
        local_copy(Content(version.digest, version.size, (own, *beside)), store) as place,
        tempfile.TemporaryDirectory(prefix="slipway-join-") as other,
    ):
        into = Path(other) / _FILE
        if join_external(place / _FILE, into):
            with into.open("rb") as stream:
                stored = store.put(stream)
            version.settle(digest=stored.digest, size=stored.size)


def _beside(folder: str, filename: str) -> list[FileEntry]:
    """Plain files of the folder that may hold tensors."""
    files = TrackedFile.objects.filter(parent=folder).exclude(digest="").exclude(name=filename)
    named = files.exclude(name__in=_DESCRIBING).exclude(name__endswith=".onnx")
    return [
        FileEntry(name, digest, size) for name, digest, size in named.values_list("name", "digest", "size")
    ]
