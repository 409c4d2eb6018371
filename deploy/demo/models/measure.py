"""What an exported model really does with the held-out rows, measured with ONNX Runtime on one core."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score, root_mean_squared_error

from .datasets import Floats
from .export import INPUT

Doubles = NDArray[np.float64]
FATAL_ONLY = 4


@dataclass(frozen=True, slots=True)
class Served:
    """`outputs` [N] is the first output per row, NaN where the run failed; times in milliseconds."""

    outputs: Doubles
    p50_ms: float
    p95_ms: float

    @property
    def answered(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.outputs)

    @property
    def error_rate(self) -> float:
        return float(1 - self.answered.mean())


def serve(artifact: bytes, rows: Floats) -> Served:
    """Answer each row [F] of `rows` [N, F] by itself, as an endpoint would."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    session = ort.InferenceSession(artifact, options, providers=["CPUExecutionProvider"])
    answers = [_answer(session, rows[index : index + 1]) for index in range(len(rows))]
    outputs, seconds = np.array(answers).T
    p50, p95 = np.quantile(seconds[~np.isnan(outputs)], [0.5, 0.95]) * 1000
    return Served(outputs, float(p50), float(p95))


def _answer(session: ort.InferenceSession, row: Floats) -> tuple[float, float]:
    started = time.perf_counter()
    try:
        value = float(session.run(None, {INPUT: row})[0].ravel()[0])
    except ort.capi.onnxruntime_pybind11_state.Fail:
        value = float("nan")
    return value, time.perf_counter() - started


def quality(task: str, predicted: Doubles, target: Doubles) -> Mapping[str, float]:
    """`rmse` and `r2` of a regression, `auc` and `accuracy` of class-1 probabilities."""
    if task == "regression":
        scores = {"rmse": root_mean_squared_error(target, predicted), "r2": r2_score(target, predicted)}
    else:
        scores = {
            "auc": roc_auc_score(target, predicted),
            "accuracy": accuracy_score(target, predicted > 0.5),
        }
    return {name: round(float(score), 4) for name, score in scores.items()}


def psi(expected: Doubles, actual: Doubles) -> float:
    """Population stability index on the deciles of `expected`, with half a count added to every bin."""
    edges = np.quantile(expected, np.arange(0.1, 1.0, 0.1))
    bins = len(edges) + 1
    p, q = (
        (np.bincount(np.searchsorted(edges, values), minlength=bins) + 0.5) / (len(values) + bins / 2)
        for values in (actual, expected)
    )
    return float(np.sum((p - q) * np.log(p / q)))
