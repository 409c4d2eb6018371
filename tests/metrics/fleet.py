"""Server processes as Prometheus sees them: pages whose counters grow with time, and restart."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from monitoring.domain.histogram import Histogram
from monitoring.tests.exposition_builder import buckets, sample

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1]


@dataclass
class Server:
    """One version's counters, all a function of the clock: `rate` requests per second, a share of them bad.

    `shape` is how latencies spread over the bins of SECONDS.
    """

    endpoint: str
    version: str
    rate: float = 50.0
    bad: float = 0.0
    shape: tuple[float, ...] = (0.5, 0.3, 0.1, 0.06, 0.03, 0.01)
    began: float = field(default_factory=time.time)
    before: float = 0.0
    up: bool = True

    def restart(self) -> None:
        """Every counter begins at zero again."""
        self.began, self.before = time.time(), 0.0

    @property
    def labels(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, "model": "churn", "model_version": self.version}

    def text(self) -> str:
        served = float(int((time.time() - self.began) * self.rate)) + self.before
        bad = float(int(served * self.bad))
        counts = [float(int(served * share)) for share in self.shape]
        return (
            sample("model_predictions_total", served - bad, **self.labels, status="ok")
            + sample("model_predictions_total", bad, **self.labels, status="error")
            + buckets("model_prediction_seconds", Histogram.of(SECONDS, counts), **self.labels)
            + sample("model_queue_depth", 3.0, **self.labels)
            + sample("model_load_seconds", float("nan"), **self.labels)
        )
