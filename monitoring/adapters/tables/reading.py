"""What every reader of tables gives: chunks of columns, each with the place where the next one begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
# A place in a file where reading can go on, in numbers that the format's reader understands.
Cursor = list[int]


@dataclass(frozen=True)
class Chunk:
    """Columns of shape (n, …), where the next chunk begins, and how much of the file is read (0 to 1)."""

    columns: Columns
    after: Cursor
    share: float

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Batch:
    """Rows as they come off a file, which lie between two shares of it."""

    rows: pa.RecordBatch
    base: Cursor
    begin: float
    end: float

    def at(self, count: int) -> Cursor:
        """The cursor after so many of its rows: the last number of one counts rows."""
        return [*self.base[:-1], self.base[-1] + count]

    def share(self, count: int) -> float:
        """How much of the file is read after so many of its rows."""
        return self.begin + (self.end - self.begin) * count / max(1, int(self.rows.num_rows))


def rechunked(batches: Iterable[Batch], rows: int) -> Iterator[Chunk]:
    """Batches of any size as chunks of `rows`, so that a chunk is the same whoever reads the file."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    last: Batch | None = None
    for batch in batches:
        used = 0
        while count + batch.rows.num_rows - used >= rows:
            piece = batch.rows.slice(used, rows - count)
            used += rows - count
            yield Chunk(columns_of([*waiting, piece]), batch.at(used), batch.share(used))
            waiting, count = [], 0
        if used < batch.rows.num_rows:
            waiting.append(batch.rows.slice(used))
            count += batch.rows.num_rows - used
        last = batch
    if count and last is not None:
        yield Chunk(columns_of(waiting), last.at(last.rows.num_rows), 1.0)


def columns_of(batches: list[pa.RecordBatch]) -> Columns:
    """Arrays by name, of shape (n,), or (n, width) where each row holds a list of the same length."""
    table = pa.Table.from_batches(batches)
    check_names(table.column_names)
    return {name: _array(name, table.column(name)) for name in table.column_names}


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError when a column could not be told from another."""
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(f"the column {doubled[0]} is there twice")


def _array(name: str, column: pa.ChunkedArray) -> NDArray[Any]:
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        values: NDArray[Any] = column.to_numpy()
        return values
    whole = column.combine_chunks()
    flat: NDArray[Any] = whole.flatten().to_numpy(zero_copy_only=False)
    if whole.null_count or not len(whole) or len(flat) % len(whole):
        raise ValueError(f"the lists of the column {name} are not all of the same length")
    width = len(flat) // len(whole)
    if not pa.types.is_fixed_size_list(kind) and (np.diff(whole.offsets.to_numpy()) != width).any():
        raise ValueError(f"the lists of the column {name} are not all of the same length")
    return flat.reshape(len(whole), width)
