"""What the registry needs from outside."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """Where content ended up: its address `sha256:<hex>` and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload: its number from 1, where it begins, and how many bytes it has."""

    number: int
    offset: int
    size: int


class ArtifactStore(Protocol):
    """Content-addressed storage of immutable files.

    Content is either wholly there under its digest or not at all, and equal content is kept once.
    Every method may raise `Unavailable`.
    """

    def put(self, stream: BinaryIO) -> StoredArtifact:
        """Store what `stream` holds from its present position, in bounded memory."""

    def open(self, digest: str, start: int = 0) -> AbstractContextManager[BinaryIO]:
        """Read the content from byte `start`, which lies within it; `NotFound` when there is none."""

    def path_or_uri(self, digest: str) -> str:
        """An absolute path or URI that a model server can load from; `NotFound` when there is none."""

    def exists(self, digest: str) -> bool:
        """Whether the content is there."""

    def delete(self, digest: str) -> None:
        """Remove the content; no error when there is none."""

    def digests(self) -> Iterator[str]:
        """Every digest stored, in no particular order."""

    # --- uploads in parts: content that has no digest yet ------------------------------------------

    def begin(self, name: str, size: int) -> str:
        """Open an upload of `size` bytes under a name given once; returns the store's reference of it."""

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        """Take exactly `part.size` bytes, in place of an earlier try; `Invalid` when `stream` has fewer."""

    def part_url(self, ref: str, part: Part, seconds: int) -> str | None:
        """Where a client may PUT the part without us for so long; None where it must come through us."""

    def parts(self, ref: str) -> Mapping[int, int]:
        """The bytes of each part that has wholly arrived; `NotFound` when there is no such upload."""

    def finish(self, ref: str) -> None:
        """Make the parts one content; afterwards no part is taken. No error when it was done before."""

    def open_upload(self, ref: str) -> AbstractContextManager[BinaryIO]:
        """Read what a finished upload holds; `NotFound` when there is none."""

    def keep(self, ref: str, digest: str) -> None:
        """Move a finished upload to its digest. No error when it was done before."""

    def discard(self, ref: str) -> None:
        """Forget the upload and whatever arrived of it; no error when there is none."""

    def sweep(self, older_than_seconds: float, keep: Collection[str] = ()) -> int:
        """Remove what died half-way, if older than that and not one of the `keep` references; how many."""
