"""The Kayenta judge, for people who know its rule: Mann–Whitney per metric, scores per group.

It compares points of a time series, so it looks once at the end of an analysis; its known weaknesses beside
Slipway's own judge are measured in `benchmarks/judge`. Unlike the original, an error here is no score of 100.
"""

# The judge offers this rule as a gate, and this rule speaks in the judge's verdicts: the judge comes first.
import monitoring.domain.judge  # noqa: F401, I001
from monitoring.domain.kayenta.classify import Direction, Metric, MetricClass, classify
from monitoring.domain.kayenta.score import Group, Score, score

__all__ = ["Direction", "Group", "Metric", "MetricClass", "Score", "classify", "score"]
