"""What a version consists of: into the store, and out of it again for an inspection."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.domain.manifest import FileEntry, Manifest, checked_path, manifest_of
from registry.errors import Invalid, NotFound
from registry.models import Version
from registry.ports import ArtifactStore

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """A single file (`files` is empty), or a folder with `digest` over its manifest; all of it is stored."""

    digest: str
    size: int
    files: tuple[FileEntry, ...] = ()

    @property
    def digests(self) -> set[str]:
        """Everything in the store that belongs to it."""
        return {self.digest, *(file.digest for file in self.files)}


def store_path(path: Path, store: ArtifactStore) -> Content:
    """Put a file, or every file of a folder and its manifest, into the store; each content once."""
    if path.is_dir():
        return store_folder(((name, _put(path / name, store)) for name in _names(path)), store)
    return _put(path, store)


def store_folder(files: Iterable[tuple[str, Content]], store: ArtifactStore) -> Content:
    """A folder of files that are in the store already, by their paths."""
    entries = (FileEntry(checked_path(path), one.digest, one.size) for path, one in files)
    return store_manifest(manifest_of(entries), store)


def store_manifest(manifest: Manifest, store: ArtifactStore) -> Content:
    """The folder that the manifest describes; only the manifest itself is written."""
    stored = store.put(io.BytesIO(manifest.to_bytes()))
    return Content(stored.digest, manifest.size, manifest.files)


def content_of(version: Version) -> Content:
    """What a registered version consists of; 1 query for a folder, none for a file."""
    if not version.is_folder:
        return Content(version.digest, version.size)
    return Content(version.digest, version.size, entries_of(version))


def entries_of(version: Version) -> tuple[FileEntry, ...]:
    """The files of a folder by path; nothing for a single file."""
    rows = version.files.order_by("path").values_list("path", "digest", "size")
    return tuple(FileEntry(*row) for row in rows)


@contextmanager
def local_copy(content: Content, store: ArtifactStore) -> Iterator[Path]:
    """The file, or the folder, on this machine while the context lasts; `NotFound` when some of it is gone.

    Files of the folder store are linked, not copied.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-inspect-") as place:
        if not content.files:
            yield _fetched(content.digest, Path(place) / "artifact", store)
            return
        for file in content.files:
            target = Path(place) / checked_path(file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetched(file.digest, target, store)
        yield Path(place)


def _fetched(digest: str, target: Path, store: ArtifactStore) -> Path:
    place = store.path_or_uri(digest)
    if place.startswith("/"):
        try:
            os.link(place, target)
            return target
        except OSError:
            pass  # another file system, or one without links
    with store.open(digest) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, _CHUNK)
    return target


def _put(path: Path, store: ArtifactStore) -> Content:
    with path.open("rb") as stream:
        stored = store.put(stream)
    return Content(stored.digest, stored.size)


def _names(folder: Path) -> list[str]:
    """Paths of the plain files below `folder`; `Invalid` for links and devices, which are never followed."""
    names = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(mode):
            raise Invalid(
                f"{ascii(name[:80])} is a link or a device.", field="artifact", hint="Copy the file."
            )
        names.append(name)
    return names


def all_there(content: Content, store: ArtifactStore) -> bool:
    """Whether everything that belongs to it is in the store."""
    return all(store.exists(digest) for digest in content.digests)


def missing(content: Content) -> NotFound:
    """The error for content that is not (any more) in the store."""
    return NotFound(f"The content {content.digest} is not in the store.", hint="Upload it again.")
