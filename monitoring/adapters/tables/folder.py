"""A folder or a bucket of tables: what is in it, its files in chunks, and parts written into it.

A folder is a path or `s3://bucket/prefix`, with credentials as AWS' own variables give them and another
service as `s3://bucket/prefix?endpoint_override=…`. Memory is that of one chunk, whatever a file's size.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from monitoring.adapters.tables import csv_file, npz_file, parquet_file
from monitoring.adapters.tables.places import shown
from monitoring.adapters.tables.reading import Chunk, Columns, Cursor
from registry.errors import DomainError, Invalid, Unavailable

READERS = {".csv": csv_file.chunks, ".npz": npz_file.chunks, ".parquet": parquet_file.chunks}
META = b"slipway"


class Folder:
    """One folder of tables, or one table. Raises Invalid when there can be no such folder.

    What a bucket does not answer is Unavailable: it may be asked again.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._only = ""
        try:
            found: tuple[fs.FileSystem, str] = (
                fs.FileSystem.from_uri(place) if "://" in place else _local(place)
            )
        except (OSError, ValueError, pa.ArrowException) as error:
            raise Invalid(f"{self.shown} is no folder that can be reached: {error}") from error
        self._fs, self._root = found
        if PurePath(self._root).suffix in READERS:
            self._root, _, self._only = self._root.rpartition("/")

    @property
    def shown(self) -> str:
        """The place without what may be secret in it."""
        return shown(self.place)

    def _failed(self, what: str, error: Exception) -> DomainError:
        """Whether asking again may help is known of a bucket only."""
        remote = not isinstance(self._fs, fs.LocalFileSystem) and isinstance(error, OSError)
        away = remote and not isinstance(error, FileNotFoundError | PermissionError)
        return (Unavailable if away else Invalid)(f"{what}: {str(error).splitlines()[0][:500]}")

    def files(self) -> dict[str, int]:
        """Sizes in bytes of the tables, by name, in the order of their names."""
        return {info.base_name: info.size for info in self._tables()}

    def state(self) -> dict[str, list[int]]:
        """Size and time of change (ns) of each table: what must stay as it is while it is read in turns."""
        return {info.base_name: [info.size, info.mtime_ns or 0] for info in self._tables()}

    def _tables(self) -> list[fs.FileInfo]:
        found = self._listed()
        tables = [info for info in found if info.is_file and info.base_name.endswith(tuple(READERS))]
        return sorted(
            (info for info in tables if not self._only or info.base_name == self._only),
            key=lambda info: info.base_name,
        )

    def _listed(self) -> list[fs.FileInfo]:
        try:
            found: list[fs.FileInfo] = self._fs.get_file_info(
                fs.FileSelector(self._root, allow_not_found=True)
            )
        except (OSError, pa.ArrowException) as error:
            raise self._failed(f"{self.shown} cannot be listed", error) from error
        return found

    def chunks(
        self, name: str, rows: int, start: Cursor | None = None, wanted: Mapping[str, str] | None = None
    ) -> Iterator[Chunk]:
        """The file from `start` (a chunk's `after`; None: its beginning), `rows` at a time.

        CSV and Parquet have a column each; NPZ has its arrays. `wanted` are the types of a model's columns by
        name: when any is there, the others are not read. The last chunk may be shorter.
        """
        reader = READERS[PurePath(name).suffix]
        try:
            yield from reader(self._fs, f"{self._root}/{name}", rows, start, wanted or {})
        except (pa.ArrowException, zipfile.BadZipFile, ValueError, OSError) as error:
            raise self._failed(f"{name} cannot be read", error) from error

    def names(self) -> set[str]:
        """Every file that is there, whole ones only."""
        return {info.base_name for info in self._listed() if not info.base_name.endswith(".part")}

    def write_table(self, name: str, columns: Columns, about: Mapping[str, Any]) -> None:
        """A Parquet file that is there whole or not at all; `about` is JSON in its metadata."""
        table = pa.table({key: _arrow(values) for key, values in columns.items()})
        table = table.replace_schema_metadata({META: _json(about)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self._write(name, sink.getvalue())

    def about(self, name: str) -> dict[str, Any]:
        """What `write_table` was given about the part; reads the footer only."""
        try:
            with self._fs.open_input_file(f"{self._root}/{name}") as file:
                found: dict[str, Any] = json.loads(pq.read_schema(file).metadata[META])
        except OSError as error:
            raise self._failed(f"{name} in {self.shown} cannot be read", error) from error
        return found

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """A JSON file, whole or not at all, the same bytes for the same document."""
        self._write(name, _json(document))

    def read_json(self, name: str) -> dict[str, Any]:
        """What `write_json` wrote."""
        found: dict[str, Any] = json.loads(self.read(name))
        return found

    def read(self, name: str) -> bytes:
        """A small file's content."""
        try:
            with self._fs.open_input_stream(f"{self._root}/{name}") as stream:
                return bytes(stream.read())
        except OSError as error:
            raise self._failed(f"{name} in {self.shown} cannot be read", error) from error

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
            raise self._failed(f"{self.shown} cannot be written to", error) from error


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
