"""A folder as an artifact: its files by path, digest and size, with one digest over all of them.

The manifest is a JSON document, `{"schema": 1, "files": [{"path", "digest", "size"}…]}`, files sorted by
path, written canonically. Its SHA-256 is the folder's digest, and its bytes are stored under that digest like
any other content, so whoever knows the digest can fetch and verify everything below it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from registry.errors import Invalid

SCHEMA = 1
MAX_FILES = 10_000
MAX_PATH = 512
_FIELD = "files"


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file: its path inside the folder (POSIX, relative), `sha256:<hex>` and size in bytes."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a folder, sorted by path; made by `manifest_of`."""

    files: tuple[FileEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of `to_bytes()`."""
        return f"sha256:{hashlib.sha256(self.to_bytes()).hexdigest()}"

    def to_bytes(self) -> bytes:
        """The canonical document."""
        files = [{"path": f.path, "digest": f.digest, "size": f.size} for f in self.files]
        document = {"schema": SCHEMA, "files": files}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def manifest_of(files: Iterable[FileEntry]) -> Manifest:
    """The manifest of these files; `Invalid` for paths that two systems would unpack differently."""
    entries = tuple(sorted(files))
    if not entries:
        raise Invalid("The folder is empty.", field=_FIELD)
    if len(entries) > MAX_FILES:
        raise Invalid(f"The folder has {len(entries)} files; at most {MAX_FILES} are kept.", field=_FIELD)
    _check_distinct(entries)
    return Manifest(entries)


def checked_path(value: Any, *, field: str = "path") -> str:
    """A relative POSIX path that stays inside its folder on every system, or `Invalid`."""
    path = value if isinstance(value, str) else ""
    problem = _fault(path)
    if problem:
        raise Invalid(
            f"{ascii(path[:80])} cannot be a file's path: {problem}.",
            field=field,
            hint="Use relative paths with '/' between names, such as variables/variables.index.",
        )
    return path


def _fault(path: str) -> str:
    parts = path.split("/")
    checks = (
        (not path, "it is empty"),
        (len(path) > MAX_PATH, f"it has more than {MAX_PATH} characters"),
        (path.startswith("/"), "it is absolute"),
        ("\\" in path, "it holds a backslash"),
        (":" in path, "it holds a colon"),
        (any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in path), "it holds a control character"),
        (any(0xD800 <= ord(c) < 0xE000 for c in path), "it is not valid Unicode"),
        (".." in parts, "it leaves the folder"),
        ("." in parts or "" in parts, "it holds an empty or '.' part"),
        (any(part.endswith((" ", ".")) for part in parts), "a part ends with a space or dot"),
        (any(len(part.encode("utf-8", "replace")) > 255 for part in parts), "a part is too long"),
    )
    return next((told for wrong, told in checks if wrong), "")


def _check_distinct(entries: tuple[FileEntry, ...]) -> None:
    """No two files at one place, also where capitals do not count, and no file that is a folder of others."""
    seen: dict[str, str] = {}
    for entry in entries:
        folded = entry.path.casefold()
        if folded in seen:
            raise Invalid(f"{entry.path!r} and {seen[folded]!r} are the same place.", field=_FIELD)
        seen[folded] = entry.path
    for entry in entries:
        parts = entry.path.casefold().split("/")
        above = next((p for i in range(1, len(parts)) if (p := "/".join(parts[:i])) in seen), None)
        if above is not None:
            raise Invalid(f"{seen[above]!r} is a file and a folder at once.", field=_FIELD)
