"""How large batches grow and how long they wait: as configured, or else from measured run times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LoadError
from .warmup import Profile

DEFAULT_BATCH = 32
LARGEST_BATCH = 256
# A shared run may take this part of the deadline: whoever comes just after it started waits for two.
SHARE_OF_DEADLINE = 0.1
LONGEST_RUN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Tuning:
    """Rows that may share a run, and seconds that a busy server waits to fill one."""

    max_batch: int
    delay_seconds: float


def parse_latency(document: Mapping[str, Any]) -> dict[int, float]:
    """Seconds per run by batch size, from `{"latency": [{"batch": 8, "p50_ms": 0.14}, …]}`; {} without any.

    Raises:
        LoadError: with the path of what is wrong.
    """
    entries = document.get("latency", [])
    if not isinstance(entries, list):
        raise LoadError("latency: must be a list of run times")
    found: dict[int, float] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise LoadError(f"latency[{index}] must be an object")
        size, p50 = entry.get("batch"), entry.get("p50_ms")
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise LoadError(f"latency[{index}].batch must be an integer from 1")
        if not isinstance(p50, int | float) or isinstance(p50, bool) or not 0 < p50 < math.inf:
            raise LoadError(f"latency[{index}].p50_ms must be a number above 0")
        found[size] = p50 / 1000
    return found


def tune(max_batch: int, delay_ms: float, deadline_ms: float, latency: Mapping[int, float],
         profile: Profile) -> Tuning:  # fmt: skip
    """What is configured (`max_batch` above 0), or else what the measured run times suggest.

    The largest measured size whose run stays within its share of the deadline and whose rows still get
    cheaper by a twentieth. Without measurements, 32.
    """
    if max_batch:
        return Tuning(max_batch, delay_ms / 1000)
    if not profile.mergeable or not latency:
        return Tuning(DEFAULT_BATCH, delay_ms / 1000)
    limit = min(LONGEST_RUN_SECONDS, SHARE_OF_DEADLINE * deadline_ms / 1000)
    best, best_per_row = 1, latency.get(1, math.inf)
    for size, seconds in sorted(latency.items()):
        if size > LARGEST_BATCH or seconds > limit:
            break
        if seconds / size <= 0.95 * best_per_row:
            best, best_per_row = size, seconds / size
    return Tuning(best, delay_ms / 1000)
