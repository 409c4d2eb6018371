"""The document that says which tensor columns are counted, and on which edges."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LoadError


@dataclass(frozen=True, slots=True)
class Item:
    """One column of one tensor: `edges` for a numeric one, `categories` for a categorical one."""

    name: str
    tensor: str
    column: int
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HistogramSpec:
    """The counted columns of the inputs and of the outputs."""

    inputs: tuple[Item, ...] = ()
    outputs: tuple[Item, ...] = ()

    def first(self, most: int) -> HistogramSpec:
        """The first `most` columns of each tensor, in the order of the document; 0 keeps all."""
        return HistogramSpec(_first(self.inputs, most), _first(self.outputs, most)) if most else self


def _first(items: tuple[Item, ...], most: int) -> tuple[Item, ...]:
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        seen[item.tensor] += 1
        if seen[item.tensor] <= most:
            kept.append(item)
    return tuple(kept)


def read_document(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON file; `what` names it in messages.

    Raises:
        LoadError: it is missing, not JSON, or not an object.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise LoadError(f"cannot read the {what} {path}: {error.strerror}") from error
    except ValueError as error:
        raise LoadError(f"the {what} {path}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise LoadError(f"the {what} {path} must be a JSON object")
    return document


def parse_histograms(document: Mapping[str, Any]) -> HistogramSpec:
    """Check the document.

    Raises:
        LoadError: with the path of the first entry that is wrong.
    """
    return HistogramSpec(
        inputs=_items(document.get("inputs", []), "inputs"),
        outputs=_items(document.get("outputs", []), "outputs"),
    )


def _items(entries: Any, path: str) -> tuple[Item, ...]:
    if not isinstance(entries, list):
        raise LoadError(f"histograms: {path} must be a list")
    items = tuple(_item(entry, f"{path}[{index}]") for index, entry in enumerate(entries))
    names = [item.name for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise LoadError(f"histograms: {path} names {twice!r} twice")
    return items


def _item(entry: Any, path: str) -> Item:
    if not isinstance(entry, dict):
        raise LoadError(f"histograms: {path} must be an object")
    name, tensor, column = entry.get("name"), entry.get("tensor"), entry.get("column")
    if not isinstance(name, str) or not isinstance(tensor, str):
        raise LoadError(f"histograms: {path} needs a name and a tensor, both strings")
    if column is not None and (isinstance(column, bool) or not isinstance(column, int) or column < 0):
        raise LoadError(f"histograms: {path}.column must be null or an integer from 0")
    kind = entry.get("kind")
    if kind == "numeric":
        return Item(name, tensor, column or 0, edges=_edges(entry.get("edges"), path))
    if kind == "categorical":
        return Item(name, tensor, column or 0, categories=_categories(entry.get("categories"), path))
    raise LoadError(f"histograms: {path}.kind must be numeric or categorical, not {kind!r}")


def _edges(values: Any, path: str) -> tuple[float, ...]:
    good = isinstance(values, list) and values and all(type(value) in (int, float) for value in values)
    if not good or not all(math.isfinite(value) for value in values):
        raise LoadError(f"histograms: {path}.edges must be a list of finite numbers")
    if any(right <= left for left, right in zip(values, values[1:], strict=False)):
        raise LoadError(f"histograms: {path}.edges must ascend")
    return tuple(float(value) for value in values)


def _categories(values: Any, path: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise LoadError(f"histograms: {path}.categories must be a list of strings")
    return tuple(values)
