"""Artifacts in this process's memory, for tests."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from typing import BinaryIO

from registry.adapters.hashing import copy_hashing, hex_of
from registry.errors import Conflict, Invalid, NotFound
from registry.ports import Part, StoredArtifact


class MemoryStore:
    """A dictionary from digest to content."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._whole: dict[str, bytes] = {}

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

    def begin(self, name: str, size: int) -> str:
        self._uploads[name] = {}
        return name

    def write_part(self, ref: str, part: Part, stream: BinaryIO) -> None:
        content = stream.read(part.size)
        if len(content) < part.size:
            raise Invalid(f"Part {part.number} ends early.", field="part", hint="Send it again.")
        if ref in self._whole:
            raise Conflict("The upload is complete; it takes no more parts.")
        self._upload(ref)[part.number] = content

    def part_url(self, ref: str, part: Part, seconds: int) -> str | None:
        return None

    def parts(self, ref: str) -> dict[int, int]:
        return {number: len(content) for number, content in self._upload(ref).items()}

    def finish(self, ref: str) -> None:
        if ref not in self._whole:
            parts = self._upload(ref)
            self._whole[ref] = b"".join(parts[number] for number in sorted(parts))

    def open_upload(self, ref: str) -> BinaryIO:
        if ref not in self._whole:
            raise _unknown(ref)
        return io.BytesIO(self._whole[ref])

    def keep(self, ref: str, digest: str) -> None:
        if ref in self._whole:
            self._contents.setdefault(hex_of(digest), self._whole[ref])
        self._content(digest)
        self.discard(ref)

    def discard(self, ref: str) -> None:
        self._uploads.pop(ref, None)
        self._whole.pop(ref, None)

    def sweep(self, older_than_seconds: float, keep: Collection[str] = ()) -> int:
        left = [ref for ref in self._uploads if ref not in keep] if older_than_seconds <= 0 else []
        for ref in left:
            self.discard(ref)
        return len(left)

    def _upload(self, ref: str) -> dict[int, bytes]:
        if ref not in self._uploads:
            raise _unknown(ref)
        return self._uploads[ref]

    def _content(self, digest: str) -> bytes:
        try:
            return self._contents[hex_of(digest)]
        except KeyError:
            raise NotFound(f"No artifact {digest} is stored.") from None


def _unknown(ref: str) -> NotFound:
    return NotFound(f"There is no upload {ascii(ref[:40])}.", hint="Begin a new one.")
