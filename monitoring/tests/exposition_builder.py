"""Writing /metrics pages in tests."""

from __future__ import annotations

from monitoring.domain.histogram import Histogram


def sample(name: str, value: float, **labels: str) -> str:
    inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value}\n" if inner else f"{name} {value}\n"


def buckets(name: str, histogram: Histogram, **labels: str) -> str:
    lines, running = [], 0.0
    for edge, count in zip([*map(repr, histogram.edges.tolist()), "+Inf"], histogram.counts, strict=True):
        running += float(count)
        lines.append(sample(f"{name}_bucket", running, **labels, le=edge))
    return "".join(lines)
