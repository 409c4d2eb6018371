"""Folders as one download: a tar or zip archive, made while it is sent, in constant memory.

The same folder always gives the same bytes: files by path, no times, no owners.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from registry.domain.manifest import FileEntry
from registry.errors import Invalid, Unavailable
from registry.ports import ArtifactStore

KINDS = {"tar": "application/x-tar", "zip": "application/zip"}
_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_EPOCH = (1980, 1, 1, 0, 0, 0)


def bundle(kind: str, files: Sequence[FileEntry], store: ArtifactStore) -> Iterator[bytes]:
    """The archive in pieces; `Invalid` for a kind that is not known."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise Invalid(f"{ascii(kind[:20])} is no archive.", field="archive", hint=f"Known: {known}.")
    return _tar(files, store) if kind == "tar" else _zip(files, store)


def _tar(files: Sequence[FileEntry], store: ArtifactStore) -> Iterator[bytes]:
    for file in files:
        head = tarfile.TarInfo(file.path)
        head.size, head.mode = file.size, 0o644
        yield head.tobuf(tarfile.PAX_FORMAT)
        yield from _content(file, store)
        yield b"\0" * (-file.size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


def _zip(files: Sequence[FileEntry], store: ArtifactStore) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            head = zipfile.ZipInfo(file.path, date_time=_EPOCH)
            head.external_attr = 0o644 << 16
            with archive.open(head, "w", force_zip64=True) as member:
                for chunk in _content(file, store):
                    member.write(chunk)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


def _content(file: FileEntry, store: ArtifactStore) -> Iterator[bytes]:
    """Exactly the bytes that the manifest promises: a shorter or longer file would garble all after it."""
    left = file.size
    with store.open(file.digest) as stream:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            yield chunk
    if left:
        raise Unavailable(f"{file.path} is damaged in the store: {left} bytes are missing.")


class _Sink(io.RawIOBase):
    """Where zipfile writes; it cannot seek, so sizes follow the members."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        held = bytes(self._held)
        self._held.clear()
        return held
