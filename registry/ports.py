"""What the registry needs from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """Where content ended up: its address `sha256:<hex>` and its size in bytes."""

    digest: str
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

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what uploads that died left behind, if older than that; returns how many."""
