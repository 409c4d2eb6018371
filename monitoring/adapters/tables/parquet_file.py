"""Parquet in chunks, from any row on: a cursor is the rows done; row groups that are done are not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow.parquet as pq
from pyarrow import fs

from monitoring.adapters.tables.reading import Batch, Chunk, Cursor, rechunked

# Each column is read so many bytes ahead, so that a row group of any size needs no more memory than that.
AHEAD = 1 << 20


def chunks(
    filesystem: fs.FileSystem, path: str, rows: int, start: Cursor | None, wanted: Mapping[str, str]
) -> Iterator[Chunk]:
    """The file's columns `rows` at a time; only those of `wanted` if any is there."""
    with filesystem.open_input_file(path) as file:
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=AHEAD)
        names = table.schema_arrow.names
        include = [name for name in names if name in wanted] or names
        (done,) = start or [0]
        yield from rechunked(_batches(table, include, rows, done), rows)


def _batches(table: pq.ParquetFile, include: list[str], rows: int, done: int) -> Iterator[Batch]:
    at, total = 0, table.metadata.num_rows
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        if at + count <= done:
            at += count
            continue
        # One row group after the other: asked for all, the reader keeps what it has read.
        for batch in table.iter_batches(rows, row_groups=[group], columns=include, use_threads=False):
            skip = min(max(0, done - at), batch.num_rows)
            if skip < batch.num_rows:
                yield Batch(
                    batch.slice(skip), [at + skip], (at + skip) / total, (at + batch.num_rows) / total
                )
            at += batch.num_rows
