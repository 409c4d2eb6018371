"""Artifacts in this process's memory, for tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from registry.adapters.hashing import copy_hashing, hex_of
from registry.errors import NotFound
from registry.ports import StoredArtifact


class MemoryStore:
    """A dictionary from digest to content."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def put(self, stream: BinaryIO) -> StoredArtifact:
        buffer = io.BytesIO()
        stored = copy_hashing(stream, buffer)
        self._contents.setdefault(hex_of(stored.digest), buffer.getvalue())
        return stored

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        return io.BytesIO(self._content(digest)[start:])

    def path_or_uri(self, digest: str) -> str:
        self._content(digest)
        return f"memory://{hex_of(digest)}"

    def exists(self, digest: str) -> bool:
        return hex_of(digest) in self._contents

    def delete(self, digest: str) -> None:
        self._contents.pop(hex_of(digest), None)

    def digests(self) -> Iterator[str]:
        return iter([f"sha256:{name}" for name in self._contents])

    def sweep(self, older_than_seconds: float) -> int:
        return 0

    def _content(self, digest: str) -> bytes:
        try:
            return self._contents[hex_of(digest)]
        except KeyError:
            raise NotFound(f"No artifact {digest} is stored.") from None
