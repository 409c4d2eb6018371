"""How long a run takes by batch size, on one thread of the machine that inspects.

The numbers tell versions and batch sizes apart; a server on other hardware has others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from registry.domain.signature import Signature

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_PER_BATCH_SECONDS = 0.05
_RUNS = 30
_TOO_SLOW_SECONDS = 2.0


def latency_of(
    session: ort.InferenceSession, signature: Signature, feeds: Mapping[str, NDArray[Any]] | None
) -> list[dict[str, Any]]:
    """`[{"batch", "runs", "p50_ms", "p95_ms"}…]`; empty when no rows can be made or a run fails.

    Rows are the reference's, repeated as needed, or zeros without one. Larger batches are left out once a run
    takes long, so that the whole profile takes well under a second.
    """
    fixed = [int(t.shape[0]) for t in signature.inputs if t.shape and isinstance(t.shape[0], int)]
    found = []
    for batch in fixed[:1] or BATCHES:
        rows = _rows(signature, feeds, batch)
        seconds = _timed(session, rows) if rows else []
        if not seconds:
            break
        p50, p95 = (round(float(q) * 1e3, 4) for q in np.quantile(seconds, [0.5, 0.95]))
        found.append({"batch": batch, "runs": len(seconds), "p50_ms": p50, "p95_ms": p95})
        if max(seconds) > _PER_BATCH_SECONDS * 4:
            break
    return found


def _rows(
    signature: Signature, feeds: Mapping[str, NDArray[Any]] | None, batch: int
) -> dict[str, NDArray[Any]] | None:
    if feeds is not None:
        return {name: values[np.arange(batch) % len(values)] for name, values in feeds.items()}
    made: dict[str, NDArray[Any]] = {}
    for tensor in signature.inputs:
        if not tensor.is_tensor or not tensor.shape:
            return None
        shape = (batch, *(d if isinstance(d, int) else 1 for d in tensor.shape[1:]))
        try:
            made[tensor.name] = (
                np.full(shape, "", object) if tensor.dtype == "string" else np.zeros(shape, tensor.dtype)
            )
        except (TypeError, MemoryError, ValueError):
            return None
    return made or None


def _timed(session: ort.InferenceSession, rows: Mapping[str, NDArray[Any]]) -> list[float]:
    seconds: list[float] = []
    begun = time.perf_counter()
    try:
        session.run(None, rows)  # the first run of a shape allocates
        if time.perf_counter() - begun > _TOO_SLOW_SECONDS:
            return []
        while len(seconds) < 3 or (len(seconds) < _RUNS and sum(seconds) < _PER_BATCH_SECONDS):
            start = time.perf_counter()
            session.run(None, rows)
            seconds.append(time.perf_counter() - start)
    except Exception:
        return []  # why it fails is told by the trial or by the reference rows
    return seconds
