"""Numbers as people read them, for the one sentence of each gate."""

from __future__ import annotations

from monitoring.domain.judge.spending import CONFIDENCE

CONFIDENTLY = f"with {CONFIDENCE * 100:.0f} % confidence"

DIVERGENCES = {"psi": "PSI", "js": "Jensen–Shannon distance", "ks": "Kolmogorov–Smirnov distance"}


def percent(rate: float) -> str:
    """0.031 → '3.1 %'; small rates keep two digits that count."""
    value = rate * 100
    return f"{value:.2g} %" if 0 < abs(value) < 0.1 else f"{value:.1f} %"


def points(difference: float) -> str:
    """A difference of rates in percentage points: 0.016 → '1.6 points'."""
    value = difference * 100
    return f"{value:.2g} points" if abs(value) < 1 else f"{value:.1f} points"


def count(number: float) -> str:
    return f"{number:,.0f}"


def requests(number: float) -> str:
    return f"{count(number)} request{'' if round(number) == 1 else 's'}"


def milliseconds(seconds: float) -> str:
    """0.0123 → '12.3 ms', 4.2 → '4,200 ms'."""
    value = seconds * 1000
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def quantile_name(quantile: float) -> str:
    """0.95 → 'p95', 0.999 → 'p99.9'."""
    return f"p{quantile * 100:g}"


def duration(seconds: float) -> str:
    """90 → '1.5 min', 86,400 → '1 d'."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"
