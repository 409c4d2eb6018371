"""What an alert watches, when it fires, and how it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.notices import Severity
from registry.errors import Invalid

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Kind:
    """A series that can be watched: its noun, the unit of its threshold and the largest that makes sense."""

    noun: str
    unit: str
    most: float
    low: float = 0.0


SERIES: Mapping[str, Kind] = {
    "latency": Kind("latency", "ms", 3_600_000),
    "error_rate": Kind("error rate", "ratio", 1),
    "rejection_rate": Kind("rejection rate", "ratio", 1),
    "request_rate": Kind("request rate", "per second", 1e9),
    "psi_output": Kind("PSI of the output", "psi", 100),
    "psi_input": Kind("PSI of the input", "psi", 100),
    "kl_output": Kind("KL divergence of the output", "nats", 100),
    "kl_input": Kind("KL divergence of the input", "nats", 100),
    "gauge": Kind("value", "", 1e300, -1e300),
    "rate": Kind("rate", "per second", 1e300),
}
DRIFT = ("psi_output", "psi_input", "kl_output", "kl_input")
OWN_METRIC = ("gauge", "rate")
OPERATORS = (">", "<")


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert fires when the series of an endpoint's version is beyond `threshold` for `for_seconds`.

    `series` is a key of SERIES; `threshold` is in its unit. Each value is measured over `window_seconds`
    and counts only with `min_samples` observations in it. `endpoint`, `model` and `column` (a feature or an
    output) narrow the rule, empty = all. `quantile` is for latencies, `metric` for gauges and counters of
    any name. Someone is told again every `repeat_seconds` while it fires.
    """

    name: str
    series: str
    threshold: float
    operator: str = ">"
    quantile: float = 0.95
    metric: str = ""
    column: str = ""
    for_seconds: int = 300
    window_seconds: int = 60
    severity: str = Severity.WARNING.value
    endpoint: str = ""
    model: str = ""
    min_samples: int = 20
    repeat_seconds: int = 4 * 3600
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def breached(self, value: float) -> bool:
        return value > self.threshold if self.operator == ">" else value < self.threshold

    def covers(self, endpoint: str, model: str, column: str) -> bool:
        """Whether the rule is about this series."""
        return self.endpoint in ("", endpoint) and self.model in ("", model) and self.column in ("", column)

    def noun(self, column: str = "") -> str:
        if self.series == "latency":
            return f"{say.quantile_name(self.quantile)} latency"
        if self.series in OWN_METRIC:
            return f"{SERIES[self.series].noun} of {self.metric}"
        return f"{SERIES[self.series].noun} {column}".strip()

    def figure(self, value: float) -> str:
        """A value in the series' unit, as people read it."""
        unit = SERIES[self.series].unit
        if unit == "ratio":
            return say.percent(value)
        if unit == "ms":
            return say.milliseconds(value / 1000)
        return f"{value:.3g}/s" if unit == "per second" else f"{value:.3g}"

    def condition(self) -> str:
        """ "p95 latency > 200 ms for 5 min"."""
        lasting = f" for {say.duration(self.for_seconds)}" if self.for_seconds else ""
        return f"{self.noun(self.column)} {self.operator} {self.figure(self.threshold)}{lasting}"


def parse_rule(document: object, path: str = "rule") -> Rule:
    """A rule from a JSON object; Invalid names the bad field."""
    if not isinstance(document, Mapping):
        raise Invalid("Expected an object.", field=path)
    fields = Fields(document, path)
    series = fields.choice("series", "", SERIES)
    kind = SERIES[series]
    name = fields.text("name", "")
    if not NAME.fullmatch(name):
        raise fields.invalid("name", f"{name!r} cannot be used.", "Use a-z, 0-9 and _, a letter first.")
    rule = Rule(
        name=name,
        series=series,
        threshold=fields.number("threshold", float("nan"), kind.low, kind.most),
        operator=fields.choice("operator", ">", OPERATORS),
        quantile=fields.number("quantile", 0.95, 0.01, 0.9999),
        metric=fields.line("metric"),
        column=fields.line("column"),
        for_seconds=fields.count("for_seconds", 300, low=0, high=7 * DAY),
        window_seconds=fields.count("window_seconds", 3600 if series in DRIFT else 60, low=10, high=7 * DAY),
        severity=fields.choice("severity", Severity.WARNING.value, [item.value for item in Severity]),
        endpoint=fields.line("endpoint"),
        model=fields.line("model"),
        min_samples=fields.count("min_samples", 500 if series in DRIFT else 20, low=0),
        repeat_seconds=fields.count("repeat_seconds", 4 * 3600, low=60, high=30 * DAY),
        description=fields.line("description", 500),
    )
    fields.done()
    if (series in OWN_METRIC) != bool(rule.metric) or (rule.metric and not METRIC.fullmatch(rule.metric)):
        raise fields.invalid("metric", f"{rule.metric!r} is no metric name for a {series}.", _METRIC_HINT)
    return rule


_METRIC_HINT = "A gauge and a rate name their metric; the other series have theirs."


# From practice; made at the first migration, to be changed by whoever runs Slipway.
DEFAULT_RULES: tuple[Mapping[str, Any], ...] = (
    {
        "name": "latency_p95", "series": "latency", "quantile": 0.95, "threshold": 200, "for_seconds": 300,
        "description": "Nineteen of twenty requests should be answered within 200 ms.",
    },
    {
        "name": "error_rate", "series": "error_rate", "threshold": 0.02, "for_seconds": 120,
        "severity": "critical", "description": "More than one request in fifty fails.",
    },
    {
        "name": "output_psi", "series": "psi_output", "threshold": 0.2, "for_seconds": 900,
        "description": "Predictions have moved far from those at registration.",
    },
    {
        "name": "output_kl", "series": "kl_output", "threshold": 0.2, "for_seconds": 900,
        "description": "Predictions have moved far from those at registration.",
    },
    {
        "name": "input_psi", "series": "psi_input", "threshold": 0.2, "for_seconds": 900,
        "description": "A feature has moved far from the reference data.",
    },
    {
        "name": "input_kl", "series": "kl_input", "threshold": 0.2, "for_seconds": 900,
        "description": "A feature has moved far from the reference data.",
    },
)  # fmt: skip
