"""Runs before the first request: they allocate, they time the model, and they test the batch axis."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .datatypes import Array
from .errors import ModelFailed
from .model import Model
from .signature import Signature, TensorSpec

# Rows computed together may differ from rows computed alone by rounding, not by more.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Profile:
    """What warm-up found out. `mergeable`: rows of different requests may share a run."""

    mergeable: bool
    seconds_alone: float
    seconds_full: float
    note: str = ""


def warm_up(model: Model, runs: int, max_batch: int) -> Profile:
    """Run made-up rows, alone and in full batches, and report times (seconds per run, best seen).

    A model that refuses made-up rows is not a broken one: warm-up then ends early and says so.
    """
    signature = model.signature
    mergeable = signature.batchable and max_batch > 1
    alone = full = float("inf")
    try:
        if mergeable and not rows_are_independent(model):
            mergeable = False
        large = max_batch if mergeable else 1
        for index in range(runs):
            rows = 1 if index % 2 == 0 else large
            seconds = _timed_run(model, rows)
            alone = min(alone, seconds) if rows == 1 else alone
            full = min(full, seconds) if rows == large else full
    except ModelFailed as error:
        return Profile(mergeable, alone, full, f"warm-up ended early: {error}")
    return Profile(mergeable, alone, full)


def _timed_run(model: Model, rows: int) -> float:
    inputs = made_up_rows(model.signature, rows)
    start = time.perf_counter()
    model.run(inputs)
    return time.perf_counter() - start


def rows_are_independent(model: Model) -> bool:
    """Whether a batch gives each row what it gets alone, and one output row per input row.

    A free leading axis is not always a batch axis: a graph may normalise or sum over it.
    """
    first, second = made_up_rows(model.signature, 1, seed=1), made_up_rows(model.signature, 1, seed=2)
    both = [np.concatenate(pair) for pair in zip(first, second, strict=True)]
    alone = [model.run(first), model.run(second)]
    together = model.run(both)
    return all(
        array.ndim > 0
        and len(array) == 2
        and all(len(alone[row][position]) == 1 for row in range(2))
        and all(_equal(array[row], alone[row][position][0]) for row in range(2))
        for position, array in enumerate(together)
    )


def _equal(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind == "f":
        return np.allclose(left, right, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE, equal_nan=True)
    return bool(np.array_equal(left, right))


def made_up_rows(signature: Signature, rows: int, seed: int = 0) -> list[Array]:
    """Rows that fit the signature; a free dimension is 1, a fixed batch axis keeps its size."""
    generator = np.random.default_rng(seed)
    return [_made_up(spec, rows, generator) for spec in signature.inputs]


def _made_up(spec: TensorSpec, rows: int, generator: np.random.Generator) -> Array:
    shape = _concrete(spec.shape, rows)
    dtype = spec.datatype.dtype
    if dtype.kind == "f":
        return generator.random(shape).astype(dtype)
    if dtype.kind == "O":
        return np.full(shape, "a", dtype=np.object_)
    # Zero and one are valid indices, counts and category codes nearly everywhere.
    limit = 1 if spec.datatype.oip == "BF16" else 2
    return generator.integers(0, limit, shape).astype(dtype)


def _concrete(shape: Sequence[int], rows: int) -> tuple[int, ...]:
    sizes = [size if size >= 0 else 1 for size in shape]
    if shape and shape[0] < 0:
        sizes[0] = rows
    return tuple(sizes)
