"""Tables in a folder or a bucket, read in chunks and written in parts: CSV, Parquet and NPZ.

A folder is a path or `s3://bucket/prefix`, with credentials as AWS' own variables give them and another
service as `s3://bucket/prefix?endpoint_override=…`. Memory is that of one chunk, whatever a file's size.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from registry.errors import Invalid

Columns = dict[str, NDArray[Any]]
SUFFIXES = (".csv", ".npz", ".parquet")
META = b"slipway"
# A CSV is parsed so many bytes at a time, whatever the chunk; the reader keeps some 32 of them ahead.
CSV_BLOCK = 1 << 18


class Folder:
    """One folder of tables. Raises Invalid when it cannot be reached."""

    def __init__(self, place: str) -> None:
        self.place = place
        try:
            found: tuple[fs.FileSystem, str] = (
                fs.FileSystem.from_uri(place) if "://" in place else _local(place)
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise Invalid(f"{place} is no folder that can be reached: {error}") from error
        self._fs, self._root = found

    def files(self) -> dict[str, int]:
        """Sizes in bytes of the tables, by name, in the order of their names."""
        found = self._fs.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        sizes = {info.base_name: info.size for info in found if info.base_name.endswith(SUFFIXES)}
        return dict(sorted(sizes.items()))

    def chunks(self, name: str, rows: int) -> Iterator[Columns]:
        """The file's columns, `rows` at a time; the last chunk may be shorter.

        CSV and Parquet have a column of shape (n,) each; NPZ has its arrays, of shape (n, …).
        """
        path = f"{self._root}/{name}"
        try:
            if name.endswith(".npz"):
                yield from self._arrays(path, rows)
            else:
                yield from _rechunked(self._batches(path, rows), rows)
        except (pa.ArrowException, zipfile.BadZipFile, ValueError, OSError) as error:
            raise Invalid(f"{name} cannot be read: {error}") from error

    def _batches(self, path: str, rows: int) -> Iterator[pa.RecordBatch]:
        if path.endswith(".csv"):
            with self._fs.open_input_stream(path) as stream:
                options = pyarrow.csv.ReadOptions(block_size=CSV_BLOCK, use_threads=False)
                yield from pyarrow.csv.open_csv(stream, read_options=options)
        else:
            with self._fs.open_input_file(path) as file:
                table = pq.ParquetFile(file)
                # One row group after the other: asked for all, the reader keeps what it has read.
                for group in range(table.num_row_groups):
                    yield from table.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)

    def _arrays(self, path: str, rows: int) -> Iterator[Columns]:
        """NPZ is a zip of arrays: each is read row by row in step with the others."""
        with self._fs.open_input_file(path) as file, zipfile.ZipFile(file) as archive:
            readers = {
                entry.removesuffix(".npy"): _npy_rows(archive.open(entry), entry, rows)
                for entry in archive.namelist()
            }
            yield from (
                dict(zip(readers, arrays, strict=True)) for arrays in zip(*readers.values(), strict=True)
            )

    def names(self) -> set[str]:
        """Every file that is there, whole ones only."""
        found = self._fs.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        return {info.base_name for info in found if not info.base_name.endswith(".part")}

    def write_table(self, name: str, columns: Columns, about: Mapping[str, Any]) -> None:
        """A Parquet file that is there whole or not at all; `about` is JSON in its metadata."""
        table = pa.table({key: _arrow(values) for key, values in columns.items()})
        table = table.replace_schema_metadata({META: _json(about)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self._write(name, sink.getvalue())

    def about(self, name: str) -> dict[str, Any]:
        """What `write_table` was given about the part; reads the footer only."""
        with self._fs.open_input_file(f"{self._root}/{name}") as file:
            found: dict[str, Any] = json.loads(pq.read_schema(file).metadata[META])
        return found

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """A JSON file, whole or not at all, the same bytes for the same document."""
        self._write(name, _json(document))

    def read_json(self, name: str) -> dict[str, Any]:
        """What `write_json` wrote."""
        with self._fs.open_input_stream(f"{self._root}/{name}") as stream:
            found: dict[str, Any] = json.loads(stream.read())
        return found

    def _write(self, name: str, content: Any) -> None:
        path = f"{self._root}/{name}"
        try:
            self._fs.create_dir(self._root, recursive=True)
            # An object in a bucket appears when it is closed; a file appears when it is renamed.
            draft = f"{path}.{uuid4().hex}.part" if isinstance(self._fs, fs.LocalFileSystem) else path
            with self._fs.open_output_stream(draft) as stream:
                stream.write(content)
            if draft != path:
                self._fs.move(draft, path)
        except OSError as error:
            raise Invalid(f"{self.place} cannot be written to: {error}") from error


def _local(place: str) -> tuple[fs.FileSystem, str]:
    return fs.LocalFileSystem(), place.rstrip("/") or "/"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _arrow(values: NDArray[Any]) -> pa.Array:
    """One column; a row that is an array itself becomes a list of fixed length."""
    if values.ndim == 1:
        return pa.array(values.tolist() if values.dtype == object else values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def _rechunked(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[Columns]:
    """Batches of any size as chunks of `rows`, so that a chunk is the same whoever reads the file."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(waiting)
            yield _columns(table.slice(0, rows))
            waiting, count = table.slice(rows).to_batches(), count - rows
    if count:
        yield _columns(pa.Table.from_batches(waiting))


def _columns(table: pa.Table) -> Columns:
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _npy_rows(stream: Any, entry: str, rows: int) -> Iterator[NDArray[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if fortran or dtype.hasobject or not shape:
        raise ValueError(f"{entry} must be an array of numbers or text with a row first, not {dtype}{shape}")
    width = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    for start in range(0, shape[0], rows):
        count = min(rows, shape[0] - start)
        content = stream.read(count * width)
        if len(content) != count * width:
            raise ValueError(f"{entry} ends after {start} rows")
        yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
