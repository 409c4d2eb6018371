"""Files as the interface between Slipway's processes: written whole or not at all, noticed by polling.

A reader may look at any moment, so a writer never changes a file in place: it writes a neighbour and
renames it over the old one, which POSIX makes atomic.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Stamp = tuple[int, int, int]


class BadFile(ValueError):
    """A file does not say what it should; the message names the place and the mend."""


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`, so that readers see the old text or the new one, never a mixture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, document: object, mode: int = 0o600) -> None:
    """Write `document` as JSON with `write_atomically`."""
    write_atomically(path, json.dumps(document, separators=(",", ":")).encode() + b"\n", mode)


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises BadFile."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadFile(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadFile(f"must be a JSON object, not {type(document).__name__}")
    return document


def text_of(item: Mapping[str, Any], key: str, path: str) -> str:
    """The text that stands in `item` under `key`; BadFile names `path` when there is none or it is empty."""
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise BadFile(f"{path}: must be a text, not {value!r}")
    return value


def stamp(path: Path) -> Stamp | None:
    """What changes whenever a file is replaced or edited: inode, size, modification time in ns.

    None when there is no such file.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass
class FolderWatch:
    """Notices added, changed and removed `*.json` files of one folder."""

    folder: Path
    _seen: dict[str, Stamp] = field(default_factory=dict)

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """(stem, content) of each file that changed since the last call; content None when it is gone."""
        found = dict(self._scan())
        for stem in [stem for stem in self._seen if stem not in found]:
            del self._seen[stem]
            yield stem, None
        for stem, mark in found.items():
            if self._seen.get(stem) == mark:
                continue
            try:
                data = (self.folder / f"{stem}.json").read_bytes()
            except FileNotFoundError:
                continue
            self._seen[stem] = mark
            yield stem, data

    def _scan(self) -> Iterator[tuple[str, Stamp]]:
        try:
            entries = os.scandir(self.folder)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    mark = stamp(Path(entry.path))
                    if mark is not None:
                        yield entry.name.removesuffix(".json"), mark


@dataclass
class FileWatch:
    """Notices when one file was replaced."""

    path: Path
    _seen: Stamp | None = None

    def changed(self) -> bytes | None:
        """The file's content if it changed since the last call, else None."""
        mark = stamp(self.path)
        if mark is None or self._seen == mark:
            return None
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        self._seen = mark
        return data
