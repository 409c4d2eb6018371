"""A multipart form that is read from disk as it is sent, so that a file of any size needs no memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

CHUNK = 1 << 20


class Form:
    """The body of a `multipart/form-data` request: `read` and `len` are all that requests asks for.

    fields: name → text. files: name → path. `sent` is told how many bytes were read in all, each time.
    """

    def __init__(self, fields: Mapping[str, str], files: Mapping[str, Path]) -> None:
        self._boundary = secrets.token_hex(16)
        self.sent: Callable[[int], object] = lambda count: None
        self._read = 0
        self._parts: list[tuple[bytes, Path | None]] = [
            *((self._head(name, None) + text.encode(), None) for name, text in fields.items()),
            *((self._head(name, path.name), path) for name, path in files.items()),
        ]
        self._tail = f"--{self._boundary}--\r\n".encode()
        sizes = (len(head) + (path.stat().st_size if path else 0) + 2 for head, path in self._parts)
        self._length = sum(sizes) + len(self._tail)
        self._chunks = self._stream()
        self._rest = b""

    @property
    def content_type(self) -> str:
        """The header that names the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return self._length

    def read(self, count: int = -1) -> bytes:
        """The next bytes, at most `count`; empty at the end."""
        while not self._rest:
            found = next(self._chunks, None)
            if found is None:
                return b""
            self._rest = found
        data, self._rest = (self._rest, b"") if count < 0 else (self._rest[:count], self._rest[count:])
        self._read += len(data)
        self.sent(self._read)
        return data

    def _head(self, name: str, filename: str | None) -> bytes:
        kind = ""
        if filename is not None:
            # As browsers do: a quote or a line break in a name would end the header.
            for char, code in (("\r", "%0D"), ("\n", "%0A"), ('"', "%22")):
                filename = filename.replace(char, code)
            kind = f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
        text = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'
        return text.encode()

    def _stream(self) -> Iterator[bytes]:
        for head, path in self._parts:
            yield head
            if path is not None:
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        yield chunk
            yield b"\r\n"
        yield self._tail
