"""CSV in chunks, from any row on: a cursor is the byte where a block begins and the rows done of it.

Rows end at line feeds outside quotes. Types are those of the first block, whoever reads the rest, so that a
row is read alike whether or not the reading was interrupted before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv, fs

from monitoring.adapters.tables.reading import Batch, Chunk, Cursor, check_names, rechunked

# Parsed so many bytes at a time, whatever the chunk.
BLOCK = 1 << 20
# No row has so many; a file without line feeds, or with a quote that is never closed, is not read whole.
LONGEST_ROW = 1 << 26
_NUMBERS = {pa.int64(), pa.float64(), pa.null()}


def chunks(
    filesystem: fs.FileSystem, path: str, rows: int, start: Cursor | None, wanted: Mapping[str, str]
) -> Iterator[Chunk]:
    """The file's columns `rows` at a time; of `wanted` (a tensor's type by column) if any is there."""
    with filesystem.open_input_file(path) as file:
        size = file.size()
        head = _head(file, size, wanted)
        offset, done = start or [head.end, 0]
        yield from rechunked(_batches(file, size, head, offset, done), rows)


@dataclass(frozen=True)
class _Head:
    """The names and types of the columns, and the byte where the first row begins."""

    names: list[str]
    types: dict[str, pa.DataType]
    include: list[str]
    end: int

    def parse(self, block: bytes) -> pa.RecordBatch:
        table = csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(column_names=self.names, use_threads=False, block_size=len(block)),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=self.types, include_columns=self.include),
        )
        return table.combine_chunks().to_batches()[0] if table.num_rows else _nothing(table)


def _nothing(table: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in table.schema], schema=table.schema
    )


def _batches(file: pa.NativeFile, size: int, head: _Head, offset: int, done: int) -> Iterator[Batch]:
    while offset < size:
        block = _block(file, offset, size)
        end = offset + len(block)
        if block.strip():
            rows = head.parse(block)
            yield Batch(rows.slice(done), [offset, done], offset / size, end / size)
        offset, done = end, 0


def _block(file: pa.NativeFile, offset: int, size: int) -> bytes:
    """About BLOCK bytes from `offset`, to the end of a row or of the file."""
    length = BLOCK
    while length <= LONGEST_ROW:
        file.seek(offset)
        content: bytes = file.read(length)
        if offset + len(content) >= size:
            return content
        if end := _end_of_rows(content):
            return content[:end]
        length *= 4
    raise ValueError(f"no row ends within {LONGEST_ROW >> 20} MB after byte {offset}: is a quote not closed?")


def _end_of_rows(content: bytes) -> int:
    """Where the last whole row of the content ends; 0 when none does."""
    if b'"' not in content:
        return content.rfind(b"\n") + 1
    values = np.frombuffer(content, np.uint8)
    inside = np.cumsum(values == ord('"')) & 1
    ends = np.flatnonzero((values == ord("\n")) & (inside == 0))
    return int(ends[-1]) + 1 if len(ends) else 0


def _head(file: pa.NativeFile, size: int, wanted: Mapping[str, str]) -> _Head:
    """The header, and the types that the first block shows."""
    first = _block(file, 0, size)
    blank = len(first) - len(first.lstrip(b"\r\n"))
    line = first.find(b"\n", blank) + 1 or len(first)
    schema = csv.read_csv(
        pa.BufferReader(first),
        read_options=csv.ReadOptions(use_threads=False, block_size=len(first) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True),
    ).schema
    check_names(schema.names)
    include = [name for name in schema.names if name in wanted] or schema.names
    types = {name: _type(schema.field(name).type, wanted.get(name, "")) for name in include}
    return _Head(schema.names, types, include, line)


def _type(seen: pa.DataType, wanted: str) -> pa.DataType:
    """The type of a column: a float's first rows may look whole, and a code's zeros are part of it."""
    if wanted == "string":
        return pa.string()
    return pa.float64() if wanted.startswith("float") and seen in _NUMBERS else seen
