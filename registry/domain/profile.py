"""The baseline profile: how a version's inputs and outputs were distributed on its reference set.

A profile is a JSON document:

    {"schema": 1, "rows": N, "inputs": [ITEM…], "outputs": [ITEM…]}
    ITEM = {"name", "tensor", "column", "kind": "numeric", "edges": […], "counts": […], "min", "max"}
         | {"name", "tensor", "column", "kind": "categorical", "categories": […], "counts": […]}

Numeric bins are `value <= edge` as in Prometheus: (-inf, e0], (e0, e1] … (ek, +inf), so there is one more
count than edges. Edges are observed values at the deciles, hence exactly representable in the type that the
model computes in: a server that compares in float32 and one that compares in float64 count alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
DECILES = tuple(q / 10 for q in range(1, 10))
MAX_CATEGORIES = 50
_HISTOGRAM_KEYS = ("name", "tensor", "column", "kind", "edges", "categories")


@dataclass(frozen=True, slots=True)
class Column:
    """One named series of values: column `column` of `tensor` (None for a tensor of shape `[N]`).

    `values` has shape `(N,)`; numeric types make a numeric item, text and `categorical` a categorical one.
    """

    name: str
    tensor: str
    column: int | None
    values: NDArray[Any]
    categorical: bool = False


def build_profile(inputs: Iterable[Column], outputs: Iterable[Column], rows: int) -> dict[str, Any]:
    """The profile document over `rows` reference rows.

    Columns that nothing can be said about (all values missing, too many categories) are left out.
    """
    return {
        "schema": SCHEMA,
        "rows": rows,
        "inputs": [item for column in inputs if (item := build_item(column))],
        "outputs": [item for column in outputs if (item := build_item(column))],
    }


def build_item(column: Column) -> dict[str, Any] | None:
    """One item of a profile, or None when the column has no usable value."""
    head = {"name": column.name, "tensor": column.tensor, "column": column.column}
    if column.categorical or column.values.dtype.kind not in "fiub":
        return _categorical(head, column.values)
    values = column.values if column.values.dtype.kind == "f" else column.values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    edges = decile_edges(values)
    return head | {
        "kind": "numeric",
        "edges": edges,
        "counts": bin_counts(values, edges),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def decile_edges(values: NDArray[Any]) -> list[float]:
    """Ascending distinct bin edges at the deciles of finite `values` of shape `(N,)`.

    Ties fold into one edge. A constant `c` gets two edges, the value just below it and `c`, so that a shift
    to either side leaves the middle bin.
    """
    edges = np.unique(np.quantile(values, DECILES, method="inverted_cdf"))
    if edges.size == 1 and values.min() == values.max():
        below = np.nextafter(edges[0], np.array(-np.inf, dtype=edges.dtype))
        edges = np.array([below, edges[0]]) if np.isfinite(below) else edges
    return [float(edge) for edge in edges]


def bin_counts(values: NDArray[Any], edges: Sequence[float]) -> list[int]:
    """How many of `values` fall into each of the `len(edges) + 1` bins `value <= edge`."""
    bins = np.searchsorted(np.asarray(edges, dtype=np.float64), values.astype(np.float64), side="left")
    return [int(n) for n in np.bincount(bins, minlength=len(edges) + 1)]


def histogram_spec(
    own: Mapping[str, Any] | None, *rivals: Mapping[str, Any] | None
) -> dict[str, list[dict[str, Any]]]:
    """What a server of the version with profile `own` exposes, comparable with each rival's.

    Items are `own`'s (a server can only read its own tensors); their edges or categories are the union with
    those of the rivals' items of the same name and kind. A version without a profile exposes nothing.
    """
    return {side: _united(side, own or {}, rivals) for side in ("inputs", "outputs")}


def _united(
    side: str, own: Mapping[str, Any], rivals: Sequence[Mapping[str, Any] | None]
) -> list[dict[str, Any]]:
    others: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for rival in rivals:
        for item in (rival or {}).get(side, ()):
            others.setdefault((item["name"], item["kind"]), []).append(item)
    spec = []
    for item in own.get(side, ()):
        united = {key: item[key] for key in _HISTOGRAM_KEYS if key in item}
        bins = "edges" if item["kind"] == "numeric" else "categories"
        same = others.get((item["name"], item["kind"]), [])
        united[bins] = sorted({*item[bins], *(value for other in same for value in other[bins])})
        spec.append(united)
    return spec


def _categorical(head: dict[str, Any], values: NDArray[Any]) -> dict[str, Any] | None:
    texts = np.array([_category(value) for value in values.tolist()])
    if not texts.size:
        return None
    categories, counts = np.unique(texts, return_counts=True)
    if categories.size > MAX_CATEGORIES:
        return None
    return head | {
        "kind": "categorical",
        "categories": [str(category) for category in categories],
        "counts": [int(count) for count in counts],
    }


def _category(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(int(value)) if isinstance(value, bool) else str(value)
