"""NPZ, a zip of arrays, in chunks from any row on: a cursor is the rows done.

Arrays that are stored as they are (`numpy.savez`) are read where the rows lie; compressed ones
(`numpy.savez_compressed`) must be unpacked from their beginning up to there.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import fs

from monitoring.adapters.tables.reading import Chunk, Cursor
from registry.inspect.arrays import read_header

_LOCAL_HEADER = struct.Struct("<26xHH")
Read = Callable[[int, int], bytes]


def chunks(
    filesystem: fs.FileSystem, path: str, rows: int, start: Cursor | None, wanted: Mapping[str, str]
) -> Iterator[Chunk]:
    """The file's arrays `rows` at a time; all must have the same number of rows."""
    with filesystem.open_input_file(path) as file, zipfile.ZipFile(file) as archive:
        readers = {
            entry.filename.removesuffix(".npy"): _Array(entry.filename, _reader(file, archive, entry))
            for entry in archive.infolist()
        }
        counts = {name: reader.shape[0] for name, reader in readers.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"the arrays have unequal numbers of rows: {counts}")
        total = next(iter(counts.values()))
        for at in range((start or [0])[0], total, rows):
            end = min(at + rows, total)
            yield Chunk({name: reader.rows(at, end) for name, reader in readers.items()}, [end], end / total)


def _reader(file: pa.NativeFile, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Read:
    """Reads `length` bytes at `offset` of an entry's content."""
    if entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1:
        file.seek(entry.header_offset)
        # The central directory does not say how long the names are that lie before the content.
        name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        begin = entry.header_offset + _LOCAL_HEADER.size + name + extra

        def stored(offset: int, length: int) -> bytes:
            file.seek(begin + offset)
            return bytes(file.read(min(length, entry.file_size - offset)))

        return stored
    stream = archive.open(entry)

    def unpacked(offset: int, length: int) -> bytes:
        stream.seek(offset)
        return stream.read(length)

    return unpacked


class _Array:
    """One array: its shape, and its rows from one to another."""

    def __init__(self, entry: str, read: Read) -> None:
        self._entry, self._read = entry, read
        stream = _Beginning(read)
        self.shape, fortran, self._dtype = read_header(stream)
        if fortran or not self.shape:
            raise ValueError(
                f"{entry} must be an array of numbers or text with a row first, not {self._dtype}{self.shape}"
            )
        self._begin = stream.at
        self._width = int(np.prod(self.shape[1:], dtype=np.int64)) * self._dtype.itemsize

    def rows(self, start: int, end: int) -> NDArray[Any]:
        length = (end - start) * self._width
        content = self._read(self._begin + start * self._width, length)
        if len(content) != length:
            raise ValueError(f"{self._entry} ends after {start} rows")
        return np.frombuffer(content, self._dtype).reshape(end - start, *self.shape[1:])


class _Beginning:
    """The beginning of an array as a stream, which is how numpy reads its header."""

    def __init__(self, read: Read) -> None:
        self._read, self.at = read, 0

    def read(self, length: int = 0, /) -> bytes:
        content = self._read(self.at, length)
        self.at += len(content)
        return content
