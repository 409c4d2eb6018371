"""What Slipway tells Prometheus of itself, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
# Upper bound of a bucket → how many observations are at most that; the last bound is infinite.
Buckets = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One series. `value` is the number, or of a histogram the sum of its observations."""

    labels: Mapping[str, str]
    value: float
    buckets: Buckets = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its series; counters are named without `_total`, which the exposition adds.

    Units are in the name: `_seconds`, `_ratio`, `_bytes`.
    """

    name: str
    help: str
    kind: Kind
    samples: tuple[Sample, ...]
