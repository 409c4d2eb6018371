"""The reference set: rows the model is run on at registration, from a file that is not trusted either."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid
from registry.inspect.graph import first_line
from registry.inspect.rows import Rows, TooManyBytes, read_rows

MAX_ROWS = 50_000
_FIELD = "reference"
_HOW = (
    "Save it with numpy.savez(path, X=X, y=y), X holding one row per example in the order of the signature, "
    "or as CSV or Parquet with the feature names as columns and the label as y."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """`feeds` maps each input to its values (first axis: rows); `y` are the labels of the same rows.

    `expected` maps outputs to the answers that the model gave before it was exported, for the same rows.
    `by_position` is the header of a table whose columns were taken in their order; empty when by name.
    """

    feeds: dict[str, NDArray[Any]]
    y: NDArray[Any] | None
    rows: int
    offered: int
    expected: dict[str, NDArray[Any]] = field(default_factory=dict)
    by_position: list[str] = field(default_factory=list)


def load_reference(path: Path, signature: Signature, feature_names: Sequence[str] = ()) -> Reference:
    """Rows fitted to the signature, evenly thinned to 50,000; `Invalid` says what does not fit.

    From NPZ, CSV or Parquet, by their content; memory is bounded by the rows that are kept.
    """
    found = _rows(path, signature, feature_names)
    arrays = found.arrays
    feeds = _feeds(arrays, signature)
    lengths = {name: len(values) for name, values in feeds.items()}
    rows = next(iter(lengths.values()))
    if len(set(lengths.values())) > 1:
        raise Invalid(f"Its arrays have different numbers of rows: {lengths}.", field=_FIELD, hint=_HOW)
    if rows == 0:
        raise Invalid("It has no rows.", field=_FIELD, hint=_HOW)
    y = arrays.get("y")
    if y is not None and (y.ndim == 0 or len(y) != rows):
        raise Invalid(f"X has {rows} rows but y has shape {y.shape}.", field=_FIELD, hint=_HOW)
    expected = _expected(arrays, signature, rows)
    if rows > MAX_ROWS:
        keep = np.linspace(0, rows - 1, MAX_ROWS).astype(np.int64)
        feeds = {name: values[keep] for name, values in feeds.items()}
        y = None if y is None else y[keep]
        expected = {name: values[keep] for name, values in expected.items()}
    offered = rows if found.offered is None else found.offered
    return Reference(feeds, y, min(rows, MAX_ROWS), offered, expected, list(found.by_position))


def _expected(arrays: Mapping[str, NDArray[Any]], signature: Signature, rows: int) -> dict[str, NDArray[Any]]:
    """`outputs.<name>` are the answers of that output, `expected` those of the first."""
    known = [t.name for t in signature.outputs if t.is_tensor]
    found = {}
    for key, values in arrays.items():
        if key != "expected" and not key.startswith("outputs."):
            continue
        name = known[0] if key == "expected" and known else key.removeprefix("outputs.")
        if name not in known:
            told = f"It has answers for {name[:80]!r}, which is no output of the model."
            raise Invalid(told, field=_FIELD, hint=f"Its outputs are {', '.join(known)}.")
        if values.ndim == 0 or len(values) != rows:
            raise Invalid(f"X has {rows} rows but {key} has shape {values.shape}.", field=_FIELD, hint=_HOW)
        found[name] = values
    return found


def _rows(path: Path, signature: Signature, feature_names: Sequence[str]) -> Rows:
    columns, inputs = signature.column_names(feature_names) or [], [t.name for t in signature.inputs]
    try:
        return read_rows(path, columns, inputs, MAX_ROWS)
    except TooManyBytes as error:
        hint = "A few thousand rows make a good baseline."
        raise Invalid(str(error), field=_FIELD, hint=hint) from error
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, zlib.error) as error:
        told = "its arrays hold Python objects" if "allow_pickle" in str(error) else first_line(error)
        raise Invalid(
            f"It cannot be read as a NumPy .npz archive, CSV or Parquet: {told}.", field=_FIELD, hint=_HOW
        ) from error


def _feeds(arrays: Mapping[str, NDArray[Any]], signature: Signature) -> dict[str, NDArray[Any]]:
    names = [t.name for t in signature.inputs]
    if not names:
        raise Invalid("The model takes no inputs, so no reference rows can be run.", field=_FIELD)
    if all(name in arrays for name in names):
        return {t.name: _fitted(arrays[t.name], t) for t in signature.inputs}
    if "X" not in arrays:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise Invalid(f"It has no array X (it holds {held}).", field=_FIELD, hint=_HOW)
    if len(names) == 1:
        return {names[0]: _fitted(arrays["X"], signature.inputs[0])}
    return _split(arrays["X"], signature)


def _split(table: NDArray[Any], signature: Signature) -> dict[str, NDArray[Any]]:
    widths = [t.width for t in signature.inputs]
    if table.ndim != 2 or any(w is None for w in widths) or table.shape[1] != sum(w or 0 for w in widths):
        takes = ", ".join(f"{t.name} {t.shape_text()}" for t in signature.inputs)
        raise Invalid(f"X has shape {table.shape}, but the model takes {takes}.", field=_FIELD, hint=_HOW)
    feeds, start = {}, 0
    for tensor, width in zip(signature.inputs, widths, strict=True):
        feeds[tensor.name] = _fitted(table[:, start : start + (width or 0)], tensor)
        start += width or 0
    return feeds


def _fitted(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """`values` with the tensor's type and rank, or `Invalid`."""
    if not tensor.is_tensor:
        raise Invalid(f"The input {tensor.name!r} is {tensor.dtype}, which no array can hold.", field=_FIELD)
    if values.ndim == 2 and values.shape[1] == 1 and len(tensor.shape) == 1:
        values = values[:, 0]
    fits = values.ndim == len(tensor.shape) and all(
        not isinstance(wanted, int) or wanted == given
        for wanted, given in zip(tensor.shape[1:], values.shape[1:], strict=True)
    )
    if values.ndim == 0 or not fits:
        raise Invalid(
            f"Its rows for {tensor.name!r} have shape {values.shape}; the model takes {tensor.shape_text()}.",
            field=_FIELD,
            hint=_HOW,
        )
    return _cast(values, tensor)


def _cast(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype == "string":
        return values.astype(str).astype(object)
    try:
        wanted = np.dtype(tensor.dtype)
        with np.errstate(all="ignore"):
            cast = values.astype(wanted)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"Its values for {tensor.name!r} are {values.dtype}; the model takes {tensor.dtype}.",
            field=_FIELD,
        ) from error
    if wanted.kind in "iub" and not np.array_equal(cast, values):
        raise Invalid(f"Its values for {tensor.name!r} are no {tensor.dtype} numbers.", field=_FIELD)
    return cast
