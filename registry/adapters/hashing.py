"""Reading a stream once: copied and hashed in the same pass."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from registry.domain.names import digest as checked_digest
from registry.ports import StoredArtifact

CHUNK = 1 << 20


def copy_hashing(source: BinaryIO, target: BinaryIO) -> StoredArtifact:
    """Copy `source` to `target` in chunks of 1 MiB; the digest and size of what was copied."""
    sha, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        sha.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return StoredArtifact(digest=f"sha256:{sha.hexdigest()}", size=size)


def hex_of(digest: str) -> str:
    """The hexadecimal part of a digest; `Invalid` for anything else, so no path can be made of it."""
    return checked_digest(digest).removeprefix("sha256:")
