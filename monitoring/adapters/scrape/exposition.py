"""Reading Prometheus text fast: the series of a page seldom change, so only the values are parsed.

A page is split into keys (name and labels) and values. While the keys are those of the last scrape, the
layout found then is used again; only a page with new series is parsed label by label.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import orjson

from monitoring.domain.arrays import FloatArray, IndexArray
from monitoring.errors import BadExposition

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*"'
_KEY = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{((?:{_LABEL},?)*)\}})?")
_LINE = re.compile(rf"({_KEY.pattern})\s+(\S+)(?:\s+-?\d+)?\s*")
_LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_COUNTER_SUFFIXES = ("_total", "_count", "_bucket")


@dataclass(frozen=True, eq=False)
class HistogramColumns:
    """One histogram of a page: labels without `le`, edges, and the columns of its buckets by rising le."""

    labels: Mapping[str, str]
    edges: FloatArray
    columns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """The series of a page in its order: `columns[i]` is (name, labels) of value i."""

    columns: tuple[tuple[str, Mapping[str, str]], ...]

    @cached_property
    def by_name(self) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, list[int]] = defaultdict(list)
        for index, (name, _) in enumerate(self.columns):
            found[name].append(index)
        return {name: tuple(indices) for name, indices in found.items()}

    @cached_property
    def counters(self) -> IndexArray:
        """Indices of the series that only grow while their process lives."""
        return np.array(
            [index for index, (name, _) in enumerate(self.columns) if name.endswith(_COUNTER_SUFFIXES)],
            dtype=np.intp,
        )

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self._json).hexdigest()

    @property
    def _json(self) -> bytes:
        return orjson.dumps(self.columns)

    def dump(self) -> bytes:
        return zlib.compress(self._json, 6)

    @classmethod
    def load(cls, data: bytes) -> Layout:
        return cls(tuple((name, labels) for name, labels in orjson.loads(zlib.decompress(data))))

    def histograms(self, metric: str) -> list[HistogramColumns]:
        """The histograms named `metric` on this page; those without a +Inf bucket are left out."""
        buckets: dict[tuple[tuple[str, str], ...], dict[float, int]] = defaultdict(dict)
        for index in self.by_name.get(f"{metric}_bucket", ()):
            labels = dict(self.columns[index][1])
            edge = float(labels.pop("le", "nan"))
            buckets[tuple(labels.items())][edge] = index
        return [
            HistogramColumns(
                dict(items), np.array(sorted(found)[:-1]), tuple(found[e] for e in sorted(found))
            )
            for items, found in buckets.items()
            if np.inf in found
        ]


class PageParser:
    """Parses one target's page after another, remembering the layout of the last."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._layout = Layout(())
        self._plain = True

    def parse(self, text: str) -> tuple[Layout, FloatArray]:
        """The page's layout and its values, shape (number of series,); raises BadExposition."""
        lines = [line for line in text.split("\n") if line and line[0] != "#"]
        split = [line.rpartition(" ") for line in lines]
        keys = tuple(key for key, _, _ in split)
        if self._plain and keys == self._keys:
            return self._layout, _values([value for _, _, value in split])
        return self._parse_anew(lines, keys)

    def _parse_anew(self, lines: list[str], rough: tuple[str, ...]) -> tuple[Layout, FloatArray]:
        columns, values, keys = [], [], []
        for number, line in enumerate(lines, start=1):
            match = _LINE.fullmatch(line)
            if match is None:
                raise BadExposition(f"Series {number} is not Prometheus text: {line[:120]!r}.")
            key, name, labels, value = match.groups()
            keys.append(key)
            values.append(value)
            columns.append((name, {label: _unescape(text) for label, text in _LABELS.findall(labels or "")}))
        # With time stamps or odd spacing the last blank does not end the key: such pages are parsed in full.
        self._keys, self._plain = rough, tuple(keys) == rough
        layout = Layout(tuple(columns))
        if layout.digest != self._layout.digest:
            self._layout = layout
        return self._layout, _values(values)


def _values(texts: list[str]) -> FloatArray:
    try:
        return np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError as error:
        raise BadExposition(f"A value is not a number: {error}.") from None


def _unescape(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text) if "\\" in text else text
