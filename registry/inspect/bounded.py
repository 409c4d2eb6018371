"""Reading of untrusted binary headers: every length is checked against what is there before it is used."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from registry.errors import Invalid


class Reader:
    """A little-endian reader over a file; `Invalid` when a claim goes beyond the file or the limit."""

    def __init__(self, path: Path, title: str) -> None:
        self._file, self._title = path.open("rb"), title
        self.size = path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Where the next read begins."""
        return self._file.tell()

    def take(self, count: int, *, most: int = 1 << 20) -> bytes:
        """The next `count` bytes."""
        if count > most:
            raise self.damaged(f"a part of it claims {count} bytes where at most {most} are read")
        content = self._file.read(count)
        if len(content) < count:
            raise self.damaged("it ends in the middle of its header: it is truncated")
        return content

    def skip(self, count: int) -> None:
        """Pass over `count` bytes that must be there."""
        if count > self.size - self.position:
            raise self.damaged("a part of it claims more bytes than the file has: it is truncated")
        self._file.seek(count, 1)

    def number(self, form: str) -> Any:
        """One number of the struct format `form`, little-endian."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def damaged(self, why: str) -> Invalid:
        """The error to raise."""
        return Invalid(
            f"The file begins like {self._title}, but {why}.", field="artifact", hint="Upload it again."
        )
