"""How the demo releases: the canary's parameters and the gates every candidate must pass.

Times are short so that a whole release fits into two minutes; the sample sizes fit the traffic
generator's rate, and the limits are the ones a real service would use.
"""

from __future__ import annotations

from typing import Any

ENVIRONMENT = "production"
INTERVAL_SECONDS = 5

GATES: tuple[dict[str, Any], ...] = (
    {"kind": "error_rate", "name": "errors", "max": 0.02, "min_effect": 0.005, "min_samples": 20},
    {
        "kind": "latency",
        "name": "latency_p95",
        "quantile": 0.95,
        "max_ratio": 1.5,
        "min_effect_ms": 3,
        "min_samples": 60,
    },
    {"kind": "distribution", "name": "output", "statistic": "psi", "max": 0.2, "min_samples": 100},
)

CANARY: dict[str, Any] = {
    "steps": [5, 10, 25, 50],
    "hold_seconds": 5,
    "analyse_seconds": 15,
    "interval_seconds": INTERVAL_SECONDS,
    "deadline_seconds": 300,
    "retire_after_seconds": 3600,
    "gates": list(GATES),
}
