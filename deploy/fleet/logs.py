"""Log files of processes that write to them directly, kept to a size."""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 8 << 20


def rotate(path: Path, limit: int = LIMIT_BYTES) -> bool:
    """Move the content of a log that outgrew `limit` to `<name>.1`; says whether it did.

    The process that writes has the file open for appending and goes on at its new, empty end: the
    file is copied and truncated, never renamed.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def size(path: Path) -> int:
    """The size of the file in bytes, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_line(path: Path, start: int = 0, limit: int = 300) -> str:
    """The last line with text in `path` from byte `start` on, cut to `limit` characters; "" if none."""
    total = size(path)
    begin = start if start <= total else 0  # it was truncated since
    try:
        with path.open("rb") as file:
            file.seek(max(begin, total - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:limit] if lines else ""
