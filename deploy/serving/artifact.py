"""The artifact: read once, checked against its digest, and only then shown to the runtime."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DigestMismatch, LoadError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """The bytes that were verified, so that nothing can change between the check and the load.

    `beside` has the verified files of the model's folder by their paths in there: weights that a model refers
    to and that are too large to be read here.
    """

    content: bytes
    digest: str
    beside: Mapping[str, Path] = field(default_factory=dict)


def read_artifact(path: Path, expected: str = "") -> Artifact:
    """Read the file and verify it; `expected` is `sha256:<hex>`, or empty for no check.

    Raises:
        LoadError: it cannot be read, is empty, or has another digest.
    """
    check_digest_form(expected)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LoadError(f"cannot read the artifact {path}: {error.strerror}") from error
    if not content:
        raise LoadError(f"the artifact {path} is empty")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if expected and digest != expected:
        raise DigestMismatch(f"the artifact {path} has the digest {digest}, expected {expected}")
    return Artifact(content, digest)


def check_digest_form(digest: str) -> None:
    """Raise LoadError unless `digest` is empty or sha256 with 64 lower-case hex digits."""
    if digest and not _DIGEST.fullmatch(digest):
        raise LoadError(f"{digest!r} is not a digest: it must be sha256: and 64 lower-case hex digits")
