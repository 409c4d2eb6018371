"""Every measure of one column of a profile against what was served, and whether it drifts.

A column drifts when its PSI is above LIMIT and above what chance explains at the sample sizes at hand,
in all columns of the version together with probability 1 − ALPHA. The χ² quantile of `psi.assess` is a
little too small so far out in the tail of small samples; simulated quantiles at 4 to 20 bins and 100 to 1,000
values lie below it times 1 + TAIL·bins/(smaller sample) (`benchmarks/drift`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from monitoring.domain import outputs
from monitoring.domain.arrays import FloatArray
from monitoring.domain.drift import divergences
from monitoring.domain.drift.psi import assess
from monitoring.domain.histogram import Histogram
from monitoring.domain.outputs import NotComparable, Side

ALPHA = 0.01
# Practice calls a PSI from 0.1 on moderate and above 0.2 major.
LIMIT, MODERATE = 0.2, 0.1
TAIL = 1.5
MIN_SAMPLES = 100


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column: `n` values served against `m` of the reference, over `bins`.

    `threshold` is the PSI above which it counts as `drifted`; `state` is `drifted`, `moderate`, `stable`,
    `no_data` (too few values) or `not_comparable`. `wasserstein` and `ks` are None for classes, `wasserstein`
    is in the unit of the values.
    """

    name: str
    side: str
    kind: str
    state: str
    n: float
    m: float
    bins: int = 0
    threshold: float | None = None
    psi: float | None = None
    kl: float | None = None
    js: float | None = None
    ks: float | None = None
    ks_p: float | None = None
    chi2: float | None = None
    chi2_p: float | None = None
    wasserstein: float | None = None

    @property
    def drifted(self) -> bool:
        return self.state == "drifted"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with six significant digits."""
        return {
            key: float(f"{value:.6g}") if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


def measure(
    item: Mapping[str, Any], side: str, live: Side | None, columns: int, min_samples: int = MIN_SAMPLES
) -> ColumnDrift:
    """The profile's `item` (one of `columns` on `side` `inputs` or `outputs`) against the live counts."""
    reference = float(sum(item["counts"]))
    n = 0.0 if live is None else live.total if isinstance(live, Histogram) else float(sum(live.values()))
    head = {"name": item["name"], "side": side, "kind": item["kind"], "n": n, "m": reference}
    if live is None or n < min_samples or reference < min_samples:
        return ColumnDrift(state="no_data", **head)
    try:
        _, counts, expected = aligned(item, live)
    except NotComparable:
        return ColumnDrift(state="not_comparable", **head)
    found = assess(counts, expected, ALPHA / max(1, columns))
    threshold = max(LIMIT, found.noise * (1 + TAIL * found.bins / min(found.n, found.m)))
    moderate = max(MODERATE, threshold * MODERATE / LIMIT)
    state = "drifted" if found.value > threshold else "moderate" if found.value > moderate else "stable"
    chi2 = divergences.chi_square(counts, expected)
    ordered: dict[str, float | None] = {}
    if isinstance(live, Histogram):
        ks = divergences.kolmogorov_smirnov(counts, expected)
        ordered = {"ks": ks.statistic, "ks_p": ks.p_value, "wasserstein": _moved(item, counts, expected)}
    return ColumnDrift(
        state=state, bins=found.bins, threshold=threshold, psi=found.value,
        kl=divergences.kullback_leibler(counts, expected), js=divergences.jensen_shannon(counts, expected),
        chi2=chi2.statistic, chi2_p=chi2.p_value, **ordered, **head,  # type: ignore[arg-type]
    )  # fmt: skip


def ranked(columns: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """The farthest first; those that could not be measured last."""
    return sorted(columns, key=lambda column: -1.0 if column.psi is None else column.psi, reverse=True)


def state_of(columns: Sequence[ColumnDrift]) -> str:
    """The whole version's: the worst of its columns, `no_data` when none could be measured."""
    states = {column.state for column in columns}
    return next((state for state in ("drifted", "moderate", "stable") if state in states), "no_data")


def aligned(item: Mapping[str, Any], live: Side) -> tuple[list[str] | list[float], FloatArray, FloatArray]:
    """Bins (classes or edges), the live counts and the profile's over them; NotComparable without any."""
    bins, (counts, expected) = outputs.aligned([live, outputs.counts_of(item)])
    if isinstance(live, Histogram):
        return bins, counts, expected
    # A class that neither side ever had is no bin.
    used = (counts + expected) > 0
    return [str(name) for name, kept in zip(bins, used, strict=True) if kept], counts[used], expected[used]


def _moved(item: Mapping[str, Any], counts: FloatArray, expected: FloatArray) -> float | None:
    edges = np.array(item["edges"], dtype=np.float64)
    if len(edges) + 1 != len(counts):
        return None
    return divergences.wasserstein(
        Histogram(edges, counts), Histogram(edges, expected), float(item["min"]), float(item["max"])
    )
