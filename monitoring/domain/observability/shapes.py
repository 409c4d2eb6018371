"""What a recording, an alert on Slipway itself, and a dashboard are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes once for all who look at it."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelfAlert:
    """An alert on Slipway itself, for a Prometheus that scrapes its /metrics."""

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel: an expression and how its series are named."""

    expression: str
    legend: str = ""
    heatmap: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is Grafana's name of it; `kind` timeseries, stat, table or heatmap; `limit` is drawn in red."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    limit: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`variables` maps a name to the label query that fills it."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
