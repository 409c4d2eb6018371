"""Uploads in parts into a folder: one file that is filled in any order, and a mark for each part."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from registry.adapters.hashing import CHUNK
from registry.errors import Conflict, Invalid, NotFound
from registry.ports import Part

_PREFIX = "upload-"


class FolderUploads:
    """`upload-<name>/data` takes the parts; renamed to `whole` it takes none. `part-<n>` marks what is there.

    A writer holds a shared lock, so that nothing can change what was declared whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, name: str, size: int) -> str:
        """Make room for `size` bytes; the file is sparse until parts arrive."""
        place = self._place(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / "lock").touch()
        with (place / "data").open("wb") as data:
            data.truncate(size)
        return name

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        """The mark is removed before and set after: a writer that dies leaves a part that is not there."""
        place = self._existing(ref)
        with _locked(place, fcntl.LOCK_SH), _data(place) as data:
            mark = place / f"part-{part.number}"
            mark.unlink(missing_ok=True)
            data.seek(part.offset)
            _copy_exactly(stream, data, part)
            data.flush()
            os.fdatasync(data.fileno())
            mark.write_text(str(part.size))

    def parts(self, ref: str) -> dict[int, int]:
        """Parts whose mark is set."""
        found = {}
        for mark in self._existing(ref).glob("part-*"):
            size = mark.read_text()
            if size.isdecimal():
                found[int(mark.name.removeprefix("part-"))] = int(size)
        return found

    def finish(self, ref: str) -> None:
        """`Conflict` while a part is still being written."""
        place = self._existing(ref)
        if (place / "whole").exists():
            return
        with _locked(place, fcntl.LOCK_EX):
            (place / "data").rename(place / "whole")

    def open(self, ref: str) -> BinaryIO:
        """The finished content."""
        try:
            return (self._existing(ref) / "whole").open("rb")
        except FileNotFoundError:
            raise _unknown(ref) from None

    def take(self, ref: str, settle: Callable[[Path], None]) -> bool:
        """Give the finished file away and forget the upload; False when there is none."""
        place = self._place(ref)
        whole = place / "whole"
        if not whole.exists():
            return False
        settle(whole)
        shutil.rmtree(place, ignore_errors=True)
        return True

    def discard(self, ref: str) -> None:
        """Remove everything of it."""
        with suppress(NotFound):
            shutil.rmtree(self._place(ref), ignore_errors=True)

    def sweep(self, older_than_seconds: float, keep: Collection[str]) -> int:
        """Remove uploads into which nothing was written for so long."""
        horizon, removed = time.time() - older_than_seconds, 0
        for place in self._folder.glob(f"{_PREFIX}*"):
            if place.name.removeprefix(_PREFIX) in keep or _newest(place) > horizon:
                continue
            shutil.rmtree(place, ignore_errors=True)
            removed += 1
        return removed

    def _place(self, ref: str) -> Path:
        try:
            return self._folder / f"{_PREFIX}{UUID(ref)}"
        except ValueError:
            raise _unknown(ref) from None

    def _existing(self, ref: str) -> Path:
        place = self._place(ref)
        if not place.is_dir():
            raise _unknown(ref)
        return place


@contextmanager
def _locked(place: Path, kind: int) -> Iterator[None]:
    try:
        lock = (place / "lock").open("rb")
    except FileNotFoundError:
        raise _unknown(place.name) from None
    with lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("A part of this upload is still being written.", hint="Try again.") from None
        yield


@contextmanager
def _data(place: Path) -> Iterator[BinaryIO]:
    try:
        data = (place / "data").open("r+b")
    except FileNotFoundError:
        raise Conflict("The upload is complete; it takes no more parts.") from None
    with data:
        yield data


def _copy_exactly(source: BinaryIO, target: BinaryIO, part: Part) -> None:
    left = part.size
    while left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise Invalid(f"Part {part.number} ends {left} bytes early.", field="part", hint="Send it again.")
        target.write(chunk)
        left -= len(chunk)


def _newest(place: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (place, *place.iterdir()))
    except FileNotFoundError:
        return time.time()  # it is being removed this moment


def _unknown(ref: str) -> NotFound:
    return NotFound(f"There is no upload {ascii(ref[:40])}.", hint="Begin a new one.")
