"""Counts of one column of a tensor: a histogram of numbers, or how often each class came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .datatypes import Array
from .exposition import HistogramSeries, Sample

OTHER = "other"


class Column(Protocol):
    """Counts one column."""

    def count(self, values: Array, finite: bool = False) -> None:
        """Count `values`, of shape [n]; `finite` promises that there is neither NaN nor infinity."""

    def text(self) -> str: ...


class NumericColumn:
    """A histogram; NaN belongs to no bin and counts as missing, infinities are counted but not summed."""

    __slots__ = ("_edges", "_series", "counts", "total", "missing")

    def __init__(self, series: HistogramSeries, edges: Sequence[float], dtype: np.dtype[Any]) -> None:
        self._series = series
        self._edges: Array = np.asarray(edges, dtype=dtype if dtype.kind == "f" else np.float64)
        self.counts: Array = np.zeros(len(edges) + 1, dtype=np.int64)
        self.total = 0.0
        self.missing = 0

    def count(self, values: Array, finite: bool = False) -> None:
        finite = finite or values.dtype.kind != "f"
        if not finite:
            present = values[~np.isnan(values)]
            self.missing += len(values) - len(present)
            values = present
        bins = self._edges.searchsorted(values, side="left")
        self.counts += np.bincount(bins, minlength=len(self.counts))
        summed = values if finite else values[np.isfinite(values)]
        self.total += float(summed.sum(dtype=np.float64))

    def text(self) -> str:
        return self._series.text(self.counts.tolist(), self.total)


class MissingValues:
    """How many values of a numeric column were NaN."""

    def __init__(self, column: NumericColumn, labels: Mapping[str, str]) -> None:
        self._column = column
        self._sample = Sample("model_input_missing_total", labels)

    def text(self) -> str:
        self._sample.value = self._column.missing
        return self._sample.text()


class CategoricalColumn:
    """A counter per known category; anything else counts as `other`."""

    __slots__ = ("counts",)

    def __init__(self, samples: Mapping[str, Sample]) -> None:
        self.counts = dict(samples)

    def count(self, values: Array, finite: bool = False) -> None:
        other = self.counts[OTHER]
        for value, times in Counter(values.tolist()).items():
            self.counts.get(category(value), other).value += times

    def text(self) -> str:
        return "".join(sample.text() for sample in self.counts.values())


def category(value: object) -> str:
    """A class label as text: booleans and whole floats as integers, as the profile writes its categories."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
