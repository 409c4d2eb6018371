"""A folder of artifacts by digest, shared by any number of servers on one volume.

`sha256/<hex>` is complete and verified: it is put there by a rename. `<hex>.partial` is a download that
goes on where it stopped, under an exclusive lock on `<hex>.lock`, so that servers which start together
fetch an artifact once.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LoadError
from .sources import Source, SourceUnavailable

# A full disk may have room when the server is started again.
_PASSING = (errno.ENOSPC, errno.EDQUOT)
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5


class ArtifactCache:
    """Content-addressed files below `folder`."""

    def __init__(self, folder: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder / "sha256"
        self._pause = pause

    def fetch(self, digest: str, source: Callable[[], Source]) -> Path:
        """The path of the verified artifact `digest` (sha256:<hex>), fetched if it is not there.

        Raises:
            LoadError: the source has something else, or nothing; SourceUnavailable: after all attempts.
        """
        name = digest.removeprefix("sha256:")
        target = self._folder / name
        if target.exists():
            return target
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(self._folder / f"{name}.lock"):
                if not target.exists():
                    self._download(digest, self._folder / f"{name}.partial", target, source())
        except OSError as error:
            if error.errno in _PASSING:
                raise SourceUnavailable(f"no room in the artifact cache {self._folder}") from error
            raise LoadError(f"cannot write to the artifact cache {self._folder}: {error.strerror}") from error
        return target

    def discard(self, digest: str) -> None:
        """Drop a file that turned out to be damaged, unless another server has replaced it by now."""
        path = self._folder / digest.removeprefix("sha256:")
        with _locked(path.with_name(f"{path.name}.lock")):
            if path.exists() and file_digest(path) != digest:
                path.unlink()

    def _download(self, digest: str, partial: Path, target: Path, source: Source) -> None:
        resumed = partial.exists() and partial.stat().st_size > 0
        resumed |= self._receive(partial, source) > 1
        actual = file_digest(partial)
        if actual != digest and resumed:
            # What an earlier attempt left may belong to other bytes; only a copy in one piece is evidence.
            partial.unlink()
            self._receive(partial, source)
            actual = file_digest(partial)
        if actual != digest:
            partial.unlink()
            raise LoadError(f"the source has an artifact with the digest {actual}, expected {digest}")
        os.replace(partial, target)

    def _receive(self, partial: Path, source: Source) -> int:
        """Fill `partial`, going on after interruptions with growing pauses; how many attempts it took."""
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS):
            try:
                _write(partial, source)
                return attempt
            except SourceUnavailable:
                self._pause(pause)
                pause *= 2
        _write(partial, source)
        return ATTEMPTS


def _write(partial: Path, source: Source) -> None:
    with partial.open("ab") as file:
        for at, chunk in source.read(file.tell()):
            if at != file.tell():
                file.truncate(at)
                file.seek(at)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of a file, read in pieces."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel lets go of it if the process dies."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
