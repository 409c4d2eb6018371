"""The stretch of time a question about metrics is asked over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np

from monitoring.domain.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval (start, end]; both are aware datetimes and start is before end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("A window needs aware datetimes; give them a time zone.")
        if self.start >= self.end:
            raise ValueError(f"A window must start before it ends; got {self.start} to {self.end}.")

    @classmethod
    def last(cls, seconds: float, now: datetime) -> Self:
        """The `seconds` that end at `now`."""
        return cls(now - timedelta(seconds=seconds), now)

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def grid(self, step: float) -> FloatArray:
        """Unix times start+step, start+2·step, … up to end: the right edges of the steps inside."""
        if step <= 0:
            raise ValueError(f"A step must be positive; got {step}.")
        count = max(1, int(self.seconds / step + 1e-9))
        return self.end.timestamp() - step * np.arange(count - 1, -1, -1, dtype=np.float64)

    def to_dict(self) -> dict[str, str]:
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    @classmethod
    def from_dict(cls, document: dict[str, str]) -> Self:
        return cls(datetime.fromisoformat(document["start"]), datetime.fromisoformat(document["end"]))
