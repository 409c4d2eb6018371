"""Gate on what runs full: queue depth, GPU memory and utilisation, or any other gauge of the candidate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge import sustained
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.sustained import Lasting, Limits
from monitoring.domain.judge.verdict import GateResult

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")


@dataclass(frozen=True, slots=True)
class SaturationGate:
    """Fails when the gauge `metric` of any replica of the candidate was above `max`, in the metric's own
    unit, at every reading of the last `for_seconds`."""

    kind: ClassVar[str] = "saturation"
    max: float
    name: str = "saturation"
    metric: str = "model_queue_depth"
    for_seconds: int = 60
    step_seconds: int = 5

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        metric = fields.text("metric", "model_queue_depth")
        if not METRIC.fullmatch(metric):
            raise fields.invalid("metric", f"{metric!r} is no metric name.")
        lasting = Lasting.parse(fields, 60, 5)
        return cls(
            name=fields.text("name", cls.kind),
            metric=metric,
            max=fields.number("max", float("nan"), 0.0, 1e300),
            for_seconds=lasting.for_seconds,
            step_seconds=lasting.step_seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @property
    def lasting(self) -> Lasting:
        return Lasting(self.for_seconds, self.step_seconds)


def judge(gate: SaturationGate, readings: Mapping[str, FloatArray]) -> GateResult:
    """Judge the readings of each replica, of shape (T,), by its instance."""
    return sustained.judge(gate.name, gate.kind, gate.metric, readings, Limits(high=gate.max), gate.lasting)
