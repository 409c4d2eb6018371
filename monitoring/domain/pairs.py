"""The same requests answered by two versions: how often they agree, how far apart they are, where most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from monitoring.domain.judge.means import Moments

WORST, WORST_OF_SEGMENT = 20, 3
MAX_SEGMENTS = 50
Value = float | str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One request's values of one output, flat, as both versions answered it."""

    request_id: str
    at: float
    stable: Sequence[Value]
    candidate: Sequence[Value]
    segment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers agree when |a − b| ≤ absolute + relative·|b|, b being the stable version's."""

    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair that does not agree; `difference` is its largest, None where values are no numbers."""

    request_id: str
    at: float
    stable: Sequence[Value]
    candidate: Sequence[Value]
    difference: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`agreed` of `pairs` requests agree in every value. `difference` holds the pairs' mean absolute
    differences, over those with numbers; `correlation` is Spearman's over their values, None when unknown."""

    pairs: int
    agreed: int
    difference: Moments
    largest: float | None
    correlation: float | None
    worst: tuple[Disagreement, ...]

    @property
    def rate(self) -> float:
        return self.agreed / self.pairs if self.pairs else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "agreed": self.agreed,
            "agreement": self.rate if self.pairs else None,
            "mean_absolute_difference": self.difference.mean if self.difference.n else None,
            "largest_difference": self.largest,
            "rank_correlation": self.correlation,
            "worst": [asdict(item) for item in self.worst],
        }


def compare(pairs: Iterable[Pair], tolerance: Tolerance, worst: int = WORST) -> Comparison:
    """All pairs together, with the `worst` disagreements: those without numbers first, then the largest."""
    total = agreed = 0
    means: list[float] = []
    left: list[float] = []
    right: list[float] = []
    apart: list[Disagreement] = []
    for pair in pairs:
        total += 1
        agrees, differences = _compared(pair, tolerance)
        if differences:
            means.append(sum(differences) / len(differences))
            left += [value for value in pair.stable if isinstance(value, float | int)]
            right += [value for value in pair.candidate if isinstance(value, float | int)]
        if agrees:
            agreed += 1
            continue
        apart.append(
            Disagreement(
                pair.request_id, pair.at, pair.stable, pair.candidate, max(differences, default=None)
            )
        )
    apart.sort(key=lambda item: (-math.inf if item.difference is None else -item.difference, -item.at))
    numbers = np.array(means, dtype=np.float64)
    return Comparison(
        pairs=total, agreed=agreed, difference=Moments.of(numbers),
        largest=max((item.difference for item in apart if item.difference is not None), default=None),
        correlation=_correlation(left, right), worst=tuple(apart[:worst]),
    )  # fmt: skip


def by_segment(pairs: Iterable[Pair], tolerance: Tolerance) -> dict[str, Comparison]:
    """One comparison per `name=value` of the segments, the largest first; at most MAX_SEGMENTS, each with its
    few worst disagreements."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        for name, value in pair.segment.items():
            groups[f"{name}={value}"].append(pair)
    largest = sorted(groups, key=lambda name: (-len(groups[name]), name))[:MAX_SEGMENTS]
    return {name: compare(groups[name], tolerance, WORST_OF_SEGMENT) for name in largest}


def _compared(pair: Pair, tolerance: Tolerance) -> tuple[bool, list[float]]:
    """Whether all values agree, and the absolute differences when all of them are numbers."""
    if len(pair.stable) != len(pair.candidate):
        return False, []
    agrees, differences = True, []
    for stable, candidate in zip(pair.stable, pair.candidate, strict=True):
        if isinstance(stable, float | int) and isinstance(candidate, float | int):
            apart = abs(candidate - stable)
            differences.append(apart)
            agrees = agrees and apart <= tolerance.absolute + tolerance.relative * abs(stable)
        else:
            agrees = agrees and stable == candidate
    return agrees, differences if len(differences) == len(pair.stable) else []


def _correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None below 3 values or when one side is constant."""
    if len(left) < 3 or min(left) == max(left) or min(right) == max(right):
        return None
    # Here, because importing it takes most of a second that no command line should wait.
    from scipy.stats import spearmanr

    return float(spearmanr(left, right).statistic)
