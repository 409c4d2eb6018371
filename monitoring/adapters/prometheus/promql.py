"""PromQL for the questions of the port: one query per metric family, whatever the number of groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monitoring.ports import Where

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Carries which of two aggregates a result row is; no exporter may use labels with two underscores in front.
PART = "slipway_part"
# Carries which of several questions a result row answers.
QUESTION = "slipway_question"
# Marks the row that tells when the provider last collected anything.
HEARTBEAT = "slipway_heartbeat"


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


def with_heartbeat(query: str, metric: str) -> str:
    """The query, and beside its rows the Unix time of the newest sample of `metric`, marked HEARTBEAT."""
    if not _METRIC.fullmatch(metric):
        raise ValueError(f"{metric!r} is no metric name.")
    return f'({query}) or label_replace(max(timestamp({metric})), "{HEARTBEAT}", "1", "", "")'


def together(queries: Sequence[str]) -> str:
    """All queries as one, whose rows carry the index of theirs in the label QUESTION.

    The `or`s form a balanced tree: in a chain Prometheus would compare each row with all before it.
    """
    parts = [
        f'label_replace({query}, "{QUESTION}", "{index}", "", "")' for index, query in enumerate(queries)
    ]
    while len(parts) > 1:
        pairs = [parts[at : at + 2] for at in range(0, len(parts), 2)]
        parts = [f"({' or '.join(pair)})" if len(pair) > 1 else pair[0] for pair in pairs]
    return parts[0]


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
