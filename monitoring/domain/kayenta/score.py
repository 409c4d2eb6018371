"""From classified metrics to a score of 0 to 100 and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.domain.judge.verdict import Verdict
from monitoring.domain.kayenta.classify import Metric, MetricClass

PASS_AT = 95.0
MARGINAL_AT = 75.0
_FAILED = (MetricClass.HIGH, MetricClass.LOW, MetricClass.NODATA_FAIL)


@dataclass(frozen=True, slots=True)
class Group:
    """Metrics that are scored together; `weight` in percent, all weights add up to at most 100."""

    name: str
    metrics: tuple[str, ...]
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The total with each group's score (None = nothing of it was measured) and the verdict."""

    total: float
    groups: Mapping[str, float | None]
    verdict: Verdict


def score(
    metrics: Sequence[Metric],
    classes: Mapping[str, MetricClass],
    groups: Sequence[Group],
    *,
    pass_at: float = PASS_AT,
    marginal_at: float = MARGINAL_AT,
) -> Score:
    """Weighted share of passing metrics; 0 when a critical metric failed, `no_data` without any measured."""
    scores = {group.name: _group_score(group, classes) for group in groups}
    measured = [group for group in groups if scores[group.name] is not None]
    if any(metric.critical and classes[metric.name] in _FAILED for metric in metrics):
        return Score(0.0, scores, Verdict.FAIL)
    if not measured:
        return Score(0.0, scores, Verdict.NO_DATA)
    weights = _weights(measured)
    total = sum(weights[group.name] * (scores[group.name] or 0.0) for group in measured)
    return Score(total, scores, _verdict(total, pass_at, marginal_at))


def _group_score(group: Group, classes: Mapping[str, MetricClass]) -> float | None:
    found = [classes[name] for name in group.metrics]
    counted = [item for item in found if item is not MetricClass.NODATA]
    if not counted:
        return None
    return 100 * sum(item is MetricClass.PASS for item in counted) / len(counted)


def _weights(groups: Sequence[Group]) -> dict[str, float]:
    """Shares that add up to 1: groups without a weight share what the others leave."""
    given = sum(group.weight or 0.0 for group in groups)
    open_groups = [group for group in groups if group.weight is None]
    rest = max(0.0, 100.0 - given) / len(open_groups) if open_groups else 0.0
    weights = {group.name: rest if group.weight is None else group.weight for group in groups}
    whole = sum(weights.values()) or 1.0
    return {name: weight / whole for name, weight in weights.items()}


def _verdict(total: float, pass_at: float, marginal_at: float) -> Verdict:
    if total >= pass_at:
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if total >= marginal_at else Verdict.FAIL
