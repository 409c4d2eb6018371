"""Runs before the first request: they allocate, they time the model, and they test the batch axis."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .datatypes import Array
from .errors import ModelFailed
from .model import Model
from .signature import Signature, TensorSpec

# Rows computed together may differ from rows computed alone by rounding, not by more.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


# However many runs are asked for, a slow model becomes ready in about this time.
BUDGET_SECONDS = 2.0
# From here on a shared run makes every request in it wait for all rows, so it must be worth it: a model
# whose rows cost as much together as alone only gets slower by batching. Below, the run is not what costs.
SLOW_SECONDS = 0.0005
WORTHWHILE = 0.8

Rows = Callable[[int], list[Array]]
"""Inputs of so many made-up rows."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What warm-up found out; times are the best seen, in seconds per run.

    `mergeable`: rows of different requests may share a run, and gain by it. `seconds_full` is for a full
    batch, or for as many rows as fit the budget.
    """

    mergeable: bool
    seconds_alone: float = math.inf
    seconds_full: float = math.inf
    note: str = ""


def warm_up(model: Model, runs: int, max_batch: int) -> Profile:
    """Run made-up rows, alone and in batches: at most `runs` times, and within the time budget.

    A model that refuses made-up rows is not a broken one: warm-up then ends early and says so.
    """
    may_merge = model.signature.batchable and max_batch > 1
    if runs == 0:
        return Profile(may_merge)
    end = time.perf_counter() + BUDGET_SECONDS
    try:
        made_up = _rows_the_model_takes(model)
        if may_merge and not rows_are_independent(model, made_up):
            return _timed(model, runs, 1, made_up, end, "its rows depend on each other")
        return _timed(model, runs, max_batch if may_merge else 1, made_up, end)
    except ModelFailed as error:
        return Profile(may_merge, note=f"warm-up ended early: {error}")


def _timed(model: Model, runs: int, most: int, made_up: Rows, end: float, note: str = "") -> Profile:
    """Alternate single rows and batches of up to `most` rows."""
    alone = _run(model, made_up, 1)
    size = min(most, max(2, int(BUDGET_SECONDS / 4 / alone)))
    full = math.inf
    for index in range(1, runs):
        if time.perf_counter() > end and index > 1:
            break
        if index % 2:
            full = min(full, _run(model, made_up, size))
        else:
            alone = min(alone, _run(model, made_up, 1))
    if most > 1 and alone >= SLOW_SECONDS and full > WORTHWHILE * size * alone:
        return Profile(False, alone, full, "batches gain nothing")
    return Profile(most > 1, alone, full, note)


def _run(model: Model, made_up: Rows, rows: int) -> float:
    inputs = made_up(rows)
    start = time.perf_counter()
    model.run(inputs)
    return time.perf_counter() - start


def _rows_the_model_takes(model: Model) -> Rows:
    """Random rows, or zeros, or ones: the first that the model computes. Raises ModelFailed if none."""
    random = partial(made_up_rows, model.signature)
    kinds: list[Rows] = [random, lambda rows: _filled(random(rows), 0), lambda rows: _filled(random(rows), 1)]
    for made_up in kinds[:-1]:
        try:
            model.run(made_up(1))
        except ModelFailed:
            continue
        return made_up
    model.run(kinds[-1](1))
    return kinds[-1]


def _filled(arrays: list[Array], value: int) -> list[Array]:
    return [array if array.dtype.kind == "O" else np.full_like(array, value) for array in arrays]


def rows_are_independent(model: Model, made_up: Rows) -> bool:
    """Whether a batch gives each row what it gets alone, and one output row per input row.

    A free leading axis is not always a batch axis: a graph may normalise or sum over it.
    """
    both = made_up(2)
    alone = [model.run([array[row : row + 1] for array in both]) for row in range(2)]
    try:
        together = model.run(both)
    except ModelFailed:  # as where the number of rows is the length of each, in a graph's adjacency matrix
        return False
    return all(
        array.ndim > 0
        and len(array) == 2
        and all(len(alone[row][position]) == 1 for row in range(2))
        and all(_equal(array[row : row + 1], alone[row][position]) for row in range(2))
        for position, array in enumerate(together)
    )


def _equal(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind == "f":
        return np.allclose(left, right, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE, equal_nan=True)
    return bool(np.array_equal(left, right))


def made_up_rows(signature: Signature, rows: int) -> list[Array]:
    """Rows that fit the signature; a free dimension is 1, a fixed batch axis keeps its size."""
    generator = np.random.default_rng(0)
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
