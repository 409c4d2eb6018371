"""Documents on disk that another process reads: replaced whole, never older than what is there."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rollouts.errors import StaleWrite, WorldUnavailable


def read_document(path: Path) -> dict[str, Any] | None:
    """The JSON object in the file; None when there is no file. WorldUnavailable when it cannot be read."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise WorldUnavailable(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise WorldUnavailable(f"{path} does not hold a JSON object.")
    return document


def replace_document(path: Path, document: Mapping[str, Any]) -> bool:
    """Writes the document unless it is there already; True when the file changed.

    `generation` guards against slow writers: StaleWrite when the file holds a newer one. The check
    and the write are one under a lock, and readers see the old file or the new one, never a part.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            present = read_document(path)
            if present == document:
                return False
            if present and present.get("generation", 0) > document["generation"]:
                raise StaleWrite(f"{path.name} holds generation {present['generation']}.")
            _write(path, document)
            return True
    except OSError as error:
        raise WorldUnavailable(f"{path} cannot be written: {error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path.parent / f".{path.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, document: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(draft, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
