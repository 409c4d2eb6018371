"""Artifacts in a folder: `objects/ab/abcd…` named by digest, `incoming/` for what is being written."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from registry.adapters.filesystem_uploads import FolderUploads
from registry.adapters.hashing import copy_hashing, hex_of
from registry.errors import NotFound, Unavailable
from registry.ports import Part, StoredArtifact


class FilesystemStore:
    """Writes elsewhere and renames: a reader sees the whole content or none, a crash leaves no half."""

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = Path(folder or settings.SLIPWAY_ARTIFACT_FOLDER).absolute()
        self._objects = self.folder / "objects"
        self._incoming = self.folder / "incoming"
        self._uploads = FolderUploads(self._incoming)

    def put(self, stream: BinaryIO) -> StoredArtifact:
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._incoming, prefix="put-", delete=False) as draft:
                return self._fill(stream, draft)
        except OSError as error:
            raise self._trouble(error) from error

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        path = self._path(digest)
        try:
            file = path.open("rb")
            file.seek(start)
            return file
        except FileNotFoundError:
            raise _missing(digest) from None
        except OSError as error:
            raise self._trouble(error) from error

    def path_or_uri(self, digest: str) -> str:
        if not self.exists(digest):
            raise _missing(digest)
        return str(self._path(digest))

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def delete(self, digest: str) -> None:
        try:
            self._path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error

    def digests(self) -> Iterator[str]:
        if not self._objects.is_dir():
            return
        for shard in self._objects.iterdir():
            for path in shard.iterdir():
                yield f"sha256:{path.name}"

    def begin(self, name: str, size: int) -> str:
        with self._reported():
            return self._uploads.begin(name, size)

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        with self._reported():
            self._uploads.write_part(ref, part, stream)

    def part_url(self, ref: str, part: Part, seconds: int) -> str | None:
        return None

    def parts(self, ref: str) -> dict[int, int]:
        with self._reported():
            return self._uploads.parts(ref)

    def finish(self, ref: str) -> None:
        with self._reported():
            self._uploads.finish(ref)

    def open_upload(self, ref: str) -> BinaryIO:
        with self._reported():
            return self._uploads.open(ref)

    def keep(self, ref: str, digest: str) -> None:
        with self._reported():
            if not self._uploads.take(ref, lambda whole: self._settle(whole, digest)):
                self.path_or_uri(digest)

    def discard(self, ref: str) -> None:
        with self._reported():
            self._uploads.discard(ref)

    def sweep(self, older_than_seconds: float, keep: Collection[str] = ()) -> int:
        if not self._incoming.is_dir():
            return 0
        horizon, removed = time.time() - older_than_seconds, self._uploads.sweep(older_than_seconds, keep)
        for path in self._incoming.glob("put-*"):
            try:
                if path.stat().st_mtime <= horizon:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # its writer finished or another sweep was faster
        return removed

    def _fill(self, stream: BinaryIO, draft: tempfile._TemporaryFileWrapper[bytes]) -> StoredArtifact:
        path = Path(draft.name)
        try:
            stored = copy_hashing(stream, draft.file)  # type: ignore[arg-type]
            draft.flush()
            os.fsync(draft.fileno())
            self._settle(path, stored.digest)
        finally:
            path.unlink(missing_ok=True)
        return stored

    def _settle(self, draft: Path, digest: str) -> None:
        target = self._path(digest)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.chmod(0o444)
        draft.replace(target)
        _sync_folder(target.parent)
        _sync_folder(self._objects)

    def _path(self, digest: str) -> Path:
        name = hex_of(digest)
        return self._objects / name[:2] / name

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> Unavailable:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        hint = "Free some space there." if full else "Check that the folder exists and is writable."
        return Unavailable(f"The artifact folder {self.folder} failed: {error.strerror or error}.", hint=hint)


def _missing(digest: str) -> NotFound:
    return NotFound(f"No artifact {digest} is stored.")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
