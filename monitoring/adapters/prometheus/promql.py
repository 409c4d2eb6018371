"""PromQL for the questions of the port: one query per metric family, whatever the number of groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monitoring.ports import Where

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Carries which of two aggregates a result row is; no exporter may use labels with two underscores in front.
PART = "slipway_part"


def selector(metric: str, where: Where) -> str:
    """`metric{label="value", other=~"a|b"}`; raises ValueError for what is no metric or label name."""
    if not _METRIC.fullmatch(metric):
        raise ValueError(f"{metric!r} is no metric name.")
    conditions = []
    for name, wanted in where.items():
        _check_label(name)
        if isinstance(wanted, str):
            conditions.append(f'{name}="{_escaped(wanted)}"')
        else:
            conditions.append(f'{name}=~"{_escaped("|".join(re.escape(value) for value in wanted))}"')
    return f"{metric}{{{','.join(conditions)}}}"


def increase(metric: str, by: Sequence[str], where: Where, seconds: float) -> str:
    return f"sum by ({_names(by)}) (increase({selector(metric, where)}[{_duration(seconds)}]))"


def bucket_increase(metric: str, by: Sequence[str], where: Where, seconds: float) -> str:
    """Sums per bucket, and beside them how many series have the bucket.

    Replicas may count over different edges; only an edge that all of them have sums to a cumulative count.
    """
    inner = f"increase({selector(f'{metric}_bucket', where)}[{_duration(seconds)}])"
    names = _names([*by, "le"])
    return (
        f'label_replace(sum by ({names}) ({inner}), "{PART}", "sum", "", "")'
        f' or label_replace(count by ({names}) ({inner}), "{PART}", "count", "", "")'
    )


def latest(metric: str, by: Sequence[str], where: Where, seconds: float) -> str:
    """Last values inside the window of the series that are not stale (their target is up)."""
    chosen = selector(metric, where)
    return f"sum by ({_names(by)}) (last_over_time({chosen}[{_duration(seconds)}]) and {chosen})"


def _names(labels: Sequence[str]) -> str:
    for label in labels:
        _check_label(label)
    return ", ".join(labels)


def _check_label(name: str) -> None:
    if not _LABEL.fullmatch(name):
        raise ValueError(f"{name!r} is no label name.")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
