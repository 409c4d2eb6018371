"""Distributions of what a model was asked and what it answered, on the baseline's edges.

Rows are copied into a buffer and counted column by column when it is full or read: counting costs one
vectorised pass per column and buffer, not one Python call per value, and the counts are exact.

Values are compared at their tensor's precision, edges rounded to it. Edges are often taken from values
of the training data in double precision; a float32 tensor holds such a value rounded, which may lie
just above its own edge. Rounding is monotone, so with both sides rounded it falls into its own bin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .columns import OTHER, CategoricalColumn, Column, MissingValues, NumericColumn
from .datatypes import Array, DataType, from_bfloat16
from .errors import LoadError
from .exposition import Family, HistogramSeries, Sample, header
from .histogram_spec import HistogramSpec, Item
from .signature import Signature, TensorSpec

BUFFERED_ROWS = 1024


def number_type(datatype: DataType) -> np.dtype[Any]:
    """What values are counted as; bfloat16 is carried as bits that are not its values."""
    return np.dtype(np.float32) if datatype.oip == "BF16" else datatype.dtype


class TensorColumns:
    """The counted columns of one tensor, with the buffer of rows that are not counted yet."""

    def __init__(self, tensor: int, datatype: DataType, columns: Mapping[int, list[Column]]) -> None:
        self.tensor = tensor
        self._from_bits = datatype.oip == "BF16"
        self._columns = list(columns.items())
        self._take = np.fromiter(columns, dtype=np.intp)
        self._width = max(columns) + 1
        first = min(columns)
        run = list(range(first, self._width))
        self._run = slice(first, self._width) if list(columns) == run else None
        self._row = None if self._from_bits else self._run
        self._buffer: Array = np.empty((BUFFERED_ROWS, len(columns)), dtype=number_type(datatype))
        self._filled = 0

    def observe(self, array: Array) -> None:
        """Take the rows of `array`, of shape [rows, …]; a row is flattened before columns are picked."""
        if array.ndim == 0:
            array = array.reshape(1)
        rows = len(array)
        if rows == 1 and self._row is not None:
            self._observe_row(array.reshape(-1))
            return
        if rows == 0:  # as a detector answers that found nothing
            return
        table = array.reshape(rows, -1) if array.ndim != 2 else array
        if table.shape[1] < self._width:
            return
        # Neighbouring columns need no list of where they are, which costs several times as much.
        table = table[:, self._run] if self._run is not None else table.take(self._take, axis=1)
        if self._from_bits:
            table = from_bfloat16(table)
        if rows > BUFFERED_ROWS - self._filled:
            self.flush()
        if rows > BUFFERED_ROWS:
            self._count(table)
            return
        self._buffer[self._filled : self._filled + rows] = table
        self._filled += rows

    def _observe_row(self, row: Array) -> None:
        """What comes most often, at half the cost: a single row of neighbouring columns."""
        if len(row) < self._width:
            return
        if self._filled == BUFFERED_ROWS:
            self.flush()
        self._buffer[self._filled] = row[self._row]
        self._filled += 1

    def flush(self) -> None:
        """Count what is buffered."""
        if self._filled:
            self._count(self._buffer[: self._filled])
            self._filled = 0

    def _count(self, table: Array) -> None:
        # A sum is finite only if all values are; where it overflows, each column looks for itself.
        finite = table.dtype.kind == "f" and math.isfinite(table.sum())
        for values, (_, columns) in zip(np.ascontiguousarray(table.T), self._columns, strict=True):
            for column in columns:
                column.count(values, finite)


class ProfileHistograms:
    """All distributions of one version. Not thread-safe: it belongs to the event loop."""

    def __init__(
        self,
        spec: HistogramSpec,
        signature: Signature,
        labels: Mapping[str, str],
        rate: float = 1.0,
        *,
        missing: bool = False,
    ) -> None:
        """Raise LoadError when the document does not fit the signature; `rate` of the runs are counted.

        With `missing`, NaN may come, and how often is told for each feature.
        """
        self._missing = missing
        self._rate, self._credit = rate, 0.0
        self._share = Sample("model_histogram_rate", labels, rate)
        self._families: dict[str, list[Column | MissingValues]] = {}
        self._inputs = self._bind(spec.inputs, signature.inputs, labels, "feature", "model_input")
        self._outputs = self._bind(spec.outputs, signature.outputs, labels, "output", "model_output")

    def observe(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Count the rows of answered requests; the tensors come in signature order."""
        if self._rate < 1:
            self._credit += self._rate
            if self._credit < 1:
                return
            self._credit -= 1
        for columns in self._inputs:
            columns.observe(inputs[columns.tensor])
        for columns in self._outputs:
            columns.observe(outputs[columns.tensor])

    def families(self) -> Iterator[Family]:
        """The families, everything observed so far included."""
        for columns in (*self._inputs, *self._outputs):
            columns.flush()
        if self._rate < 1:
            yield "model_histogram_rate", "gauge", "Share of the runs that are counted.", self._share.text()
        for name, members in self._families.items():
            yield name, *_FAMILIES[name], "".join(column.text() for column in members)

    def text(self) -> str:
        """The families in text format."""
        return "".join(header(name, kind, text) + samples for name, kind, text, samples in self.families())

    def _bind(
        self,
        items: Sequence[Item],
        specs: Sequence[TensorSpec],
        labels: Mapping[str, str],
        label: str,
        family: str,
    ) -> list[TensorColumns]:
        index = {spec.name: position for position, spec in enumerate(specs)}
        tensors: dict[int, dict[int, list[Column]]] = {}
        for item in items:
            if item.tensor not in index:
                known = ", ".join(index) or "none"
                raise LoadError(f"histograms: the model has no tensor {item.tensor!r} (it has: {known})")
            position = index[item.tensor]
            _check(item, specs[position])
            column = self._column(item, specs[position], {**labels, label: item.name}, family)
            tensors.setdefault(position, {}).setdefault(item.column, []).append(column)
        return [
            TensorColumns(position, specs[position].datatype, columns)
            for position, columns in tensors.items()
        ]

    def _column(self, item: Item, spec: TensorSpec, labels: Mapping[str, str], family: str) -> Column:
        column: Column
        if item.categories is None:
            name = f"{family}_value"
            series = HistogramSeries(name, labels, item.edges)
            column = NumericColumn(series, item.edges, number_type(spec.datatype))
            if self._missing and spec.datatype.is_float and family == "model_input":
                missing = MissingValues(column, labels)
                self._families.setdefault("model_input_missing_total", []).append(missing)
        else:
            name = f"{family}_class_total"
            names = dict.fromkeys((*item.categories, OTHER))
            column = CategoricalColumn({key: Sample(name, {**labels, "class": key}) for key in names})
        self._families.setdefault(name, []).append(column)
        return column


def _check(item: Item, spec: TensorSpec) -> None:
    """Refuse a column the tensor cannot have, and edges for what is not a number."""
    width = 1
    for size in spec.row_shape:
        width *= size
    known = spec.shape and all(size >= 0 for size in spec.row_shape)  # a shape may be untold: that is () too
    if known and item.column >= width:
        raise LoadError(f"histograms: {item.name!r} is column {item.column} of {spec.name!r}, "
                        f"which has {width}")  # fmt: skip
    if item.categories is None and spec.datatype.oip == "BYTES":
        raise LoadError(f"histograms: {item.name!r} is numeric, but {spec.name!r} holds "
                        f"{spec.datatype.oip}")  # fmt: skip


_FAMILIES = {
    "model_input_value": ("histogram", "Values of the inputs, on the edges of the baseline."),
    "model_input_missing_total": ("counter", "Values of the inputs that were NaN."),
    "model_input_class_total": ("counter", "Classes seen in the inputs."),
    "model_output_value": ("histogram", "Values of the outputs, on the edges of the baseline."),
    "model_output_class_total": ("counter", "Classes among the outputs."),
}
