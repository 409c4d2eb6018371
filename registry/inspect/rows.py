"""Rows of a reference set from NPZ, CSV or Parquet, read as a stream: memory holds the rows that are kept,
however long the file is.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from registry.inspect.arrays import Header, read_header

# Arrays that cannot be read row by row (other orders, unequal lengths) are read whole up to this.
MAX_WHOLE_BYTES = 1 << 30
# What is unpacked at most, read row by row: beyond it somebody sends a bomb.
MAX_STREAM_BYTES = 1 << 36
CHUNK_BYTES = 4 << 20
# Arrow reads some thirty blocks ahead.
BLOCK_BYTES = 1 << 20
LABELS = ("y", "label", "target")


class TooManyBytes(ValueError):
    """More than is read; the message says how much."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrays by name, thinned evenly; `offered` is how many rows the file has, None when lengths differ.

    `by_position` are the names of a table's columns that became X in their order, whatever they are called.
    """

    arrays: dict[str, NDArray[Any]]
    offered: int | None
    by_position: tuple[str, ...] = ()


def read_rows(path: Path, columns: Sequence[str], inputs: Sequence[str], most: int) -> Rows:
    """At most `most` rows. A table's columns become the array X (those named `columns`, else all in order),
    or one array per name of `inputs` when it has exactly such columns; `y`, `label` or `target` becomes y.

    Raises ValueError, OSError and zipfile.BadZipFile for a file that is none of the three.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        return _npz(path, most)
    names, batches = _parquet(path) if magic == b"PAR1" else _csv(path)
    thin = _Thinned(names, most)
    for batch in batches:
        thin.add(batch)
    arrays, by_position = _arrays_of(thin.columns(), columns, inputs)
    return Rows(arrays, thin.seen, by_position)


class _Thinned:
    """Every row until there are twice too many, then every second, and so on; at the end exactly as many."""

    def __init__(self, names: Sequence[str], most: int) -> None:
        self._names, self._most = names, most
        self._kept: list[list[NDArray[Any]]] = []
        self._stride = 1
        self.seen = self._count = 0

    def add(self, batch: Any) -> None:
        rows = np.arange(-self.seen % self._stride, batch.num_rows, self._stride)
        self.seen += batch.num_rows
        if not len(rows):
            return
        part = batch.take(rows)
        self._kept.append([_values(part.column(index)) for index in range(len(self._names))])
        self._count += len(rows)
        while self._count > 2 * self._most:
            whole = [np.concatenate(column)[::2] for column in zip(*self._kept, strict=True)]
            self._kept, self._stride = [whole], 2 * self._stride
            self._count = len(whole[0])

    def columns(self) -> dict[str, NDArray[Any]]:
        if not self._kept:
            return {name: np.array([]) for name in self._names}
        whole = [np.concatenate(column) for column in zip(*self._kept, strict=True)]
        keep = _evenly(self._count, self._most)
        return {name: column[keep] for name, column in zip(self._names, whole, strict=True)}


def _evenly(rows: int, most: int) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.linspace(0, rows - 1, most).astype(np.int64)


def _values(column: Any) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _csv(path: Path) -> tuple[list[str], Iterator[Any]]:
    pyarrow = _arrow()
    from pyarrow import csv

    options = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    names = csv.open_csv(path, read_options=options).schema.names
    # As texts, because a type that is guessed from the first block need not fit the others.
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
    )
    return names, iter(csv.open_csv(path, read_options=options, convert_options=convert))


def _parquet(path: Path) -> tuple[list[str], Iterator[Any]]:
    _arrow()
    from pyarrow import parquet

    file = parquet.ParquetFile(path, buffer_size=BLOCK_BYTES, pre_buffer=False)
    names = file.schema_arrow.names
    return names, file.iter_batches(batch_size=4096, use_threads=False)


def _arrow() -> Any:
    """Arrow with one thread and the system's allocator: others reserve address space that limits forbid."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    return pyarrow


def _arrays_of(
    table: dict[str, NDArray[Any]], columns: Sequence[str], inputs: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays that a NPZ of the same rows would hold, and the names of columns that were not asked for."""
    apart = {name: _number(values) for name, values in table.items() if _is_apart(name)}
    label = next((name for name in LABELS if name in table and name not in (*columns, *inputs)), None)
    if label is not None:
        apart["y"] = _number(table[label])
    if len(inputs) > 1 and all(name in table for name in inputs):
        return apart | {name: _number(table[name])[:, None] for name in inputs}, ()
    chosen = [name for name in columns if name in table]
    by_name = bool(columns) and len(chosen) == len(columns)
    if not by_name:
        chosen = [name for name in table if name != label and not _is_apart(name)]
    values = [_number(table[name]) for name in chosen]
    texts = [name for name, column in zip(chosen, values, strict=True) if column.dtype.kind not in "fiub"]
    if texts and len(chosen) > len(texts):
        raise ValueError(f"the column {texts[0]!r} holds texts beside columns of numbers")
    X = np.stack(values, axis=1) if values else np.empty((0, 0))
    return apart | {"X": X}, () if by_name else tuple(chosen)


def _is_apart(name: str) -> bool:
    """Answers that the model gave before it was exported are no features."""
    return name == "expected" or name.startswith("outputs.")


def _number(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers where all values are (an empty one is missing), else the texts."""
    if values.dtype.kind != "O":
        return values
    try:
        return np.array([np.nan if value in ("", None) else float(value) for value in values])
    except (TypeError, ValueError):
        return np.array(["" if value is None else str(value) for value in values], dtype=object)


def _npz(path: Path, most: int) -> Rows:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        total = sum(info.file_size for info in members)
        shapes = [_header(archive, info)[0] for info in members]
        lengths = {shape[0] if shape else None for shape in shapes}
        length = lengths.pop() if len(lengths) == 1 else None
        _refuse_beyond(total, MAX_WHOLE_BYTES if length is None else MAX_STREAM_BYTES)
        if length is None:
            with np.load(path, allow_pickle=False) as whole:
                return Rows({name: whole[name] for name in whole.files}, None)
        keep = _evenly(length, most)
        arrays = {info.filename.removesuffix(".npy"): _member(archive, info, keep) for info in members}
        return Rows(arrays, length)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, keep: NDArray[np.int64]) -> NDArray[Any]:
    """The rows `keep`, ascending, of one array."""
    shape, fortran, dtype = _header(archive, info)
    if fortran and len(shape) > 1:
        _refuse_beyond(info.file_size, MAX_WHOLE_BYTES)
        with archive.open(info) as stream:
            return npy.read_array(stream, allow_pickle=False)[keep]
    width = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    step = max(1, CHUNK_BYTES // max(1, width))
    parts = []
    with archive.open(info) as stream:
        read_header(stream)
        for start in range(0, shape[0], step):
            rows = min(step, shape[0] - start)
            data = _exactly(stream, rows * width)
            wanted = keep[np.searchsorted(keep, start) : np.searchsorted(keep, start + rows)] - start
            if len(wanted):
                chunk = np.frombuffer(data, dtype=dtype).reshape(rows, *shape[1:])
                parts.append(chunk[wanted])
    return np.concatenate(parts) if parts else np.empty((0, *shape[1:]), dtype=dtype)


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    with archive.open(info) as stream:
        return read_header(stream)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """So many bytes; a stream gives fewer at a time."""
    pieces: list[bytes] = []
    left = size
    while left and (piece := stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    if left:
        raise EOFError("an array is cut off")
    return b"".join(pieces)


def _refuse_beyond(size: int, limit: int) -> None:
    if size > limit:
        raise TooManyBytes(f"It unpacks to {size >> 20} MiB; at most {limit >> 20} MiB are read.")


__all__ = ["Rows", "TooManyBytes", "read_rows"]
