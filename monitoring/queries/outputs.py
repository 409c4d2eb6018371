"""What the versions of an endpoint answered over a window."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.domain.judge.distribution import CLASS_METRIC, NUMERIC_METRIC
from monitoring.domain.outputs import NotComparable, Output, Side
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource


def find_output(
    source: MetricsSource, endpoint: str, version: str, window: Window, name: str | None
) -> Output | None:
    """The output by what a version without a profile exposes; None without any. Raises NotComparable
    when several outputs are there and none is named."""
    where = {"endpoint": endpoint, "model_version": version}
    numeric = source.histogram(NUMERIC_METRIC, by=("output",), where=where, window=window)
    classes = source.increase(CLASS_METRIC, by=("output",), where=where, window=window)
    found = [Output(group[0], False) for group in numeric] + [Output(group[0], True) for group in classes]
    if name is not None:
        found = [output for output in found if output.name == name]
    if len(found) > 1:
        names = ", ".join(sorted(output.name for output in found))
        raise NotComparable(f"the model has several outputs ({names}); name one in the gate's `output`")
    return found[0] if found else None


def live_outputs(
    source: MetricsSource, endpoint: str, versions: Sequence[str], window: Window, output: Output
) -> dict[str, Side]:
    """What each version answered over the window: a histogram, or counts per class."""
    where = {"endpoint": endpoint, "model_version": list(versions), "output": output.name}
    if not output.categorical:
        found = source.histogram(NUMERIC_METRIC, by=("model_version",), where=where, window=window)
        return {group[0]: histogram for group, histogram in found.items()}
    counts = source.increase(CLASS_METRIC, by=("model_version", "class"), where=where, window=window)
    sides: dict[str, dict[str, float]] = {}
    for (version, name), count in counts.items():
        sides.setdefault(version, {})[name] = count
    return dict(sides)
