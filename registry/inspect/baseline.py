"""From reference rows and answers to the baseline profile, hold-out metrics and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.domain.profile import MAX_CATEGORIES, Column, build_profile
from registry.domain.ranking import auc
from registry.domain.signature import Signature, Tensor
from registry.inspect.reference import Reference
from registry.inspect.runtime import Answers

# A profile is served as Prometheus histograms, ten series per column: wider models keep their first columns.
MAX_COLUMNS = 64

Finding = dict[str, str]


def finding(code: str, message: str, severity: str = "warning") -> Finding:
    """One observation that people should see: `severity` is `info` or `warning`."""
    return {"code": code, "severity": severity, "message": message}


def profile_of(
    signature: Signature, feature_names: Sequence[str], reference: Reference, answers: Answers
) -> dict[str, Any] | None:
    """The baseline profile over the rows the model answered; None when it answered none."""
    if not len(answers.rows):
        return None
    inputs = _input_columns(signature, feature_names, reference.feeds)
    outputs = [column for t in signature.outputs for column in _output_columns(t, answers.outputs)]
    # Numbers first: the first output is what gates look at unless told otherwise.
    outputs.sort(key=lambda column: column.categorical)
    return build_profile(inputs[:MAX_COLUMNS], outputs[:MAX_COLUMNS], len(answers.rows))


def measured(signature: Signature, reference: Reference, answers: Answers) -> dict[str, float]:
    """Hold-out metrics against the reference labels, as the first output and the labels tell what they are.

    Probabilities (of class 1, of two or of more classes) and labels that number the classes: `accuracy`, and
    of two classes `auc` and `brier`, also when another output has them. Classes: `accuracy`. Other numbers:
    `rmse`, `mae`, `r2`. Computed from the file itself, so they show when an export changed the answers.
    """
    if reference.y is None or not len(answers.rows):
        return {}
    actual = reference.y[answers.rows].reshape(len(answers.rows), -1)[:, 0]
    outputs = [answers.outputs.get(tensor.name) for tensor in signature.outputs]
    if not outputs or outputs[0] is None:
        return {}
    metrics = _of_probabilities(outputs[0], actual) or _of_values(outputs[0], actual)
    for other in outputs[1:]:
        metrics = (_of_probabilities(other, actual) if other is not None else {}) | metrics
    return metrics


def _of_values(predicted: NDArray[Any], actual: NDArray[Any]) -> dict[str, float]:
    """Classes or numbers, one a row, compared with the labels."""
    if predicted.size != len(actual):
        return {}
    predicted = predicted.reshape(-1)
    if predicted.dtype.kind != "f":
        return {"accuracy": float(np.mean(predicted.astype(str) == actual.astype(str)))}
    if actual.dtype.kind not in "fiu" or not np.isfinite(predicted).all():
        return {}
    error = predicted.astype(np.float64) - actual.astype(np.float64)
    spread = float(np.sum((actual - actual.mean()) ** 2))
    metrics = {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}
    return metrics | ({"r2": 1 - float(np.sum(error**2)) / spread} if spread > 0 else {})


def _of_probabilities(predicted: NDArray[Any], actual: NDArray[Any]) -> dict[str, float]:
    """Empty unless the answers are probabilities and the labels number their classes."""
    values = predicted.reshape(len(actual), -1) if predicted.dtype.kind == "f" else np.empty((0, 0))
    classes = max(2, values.shape[1])
    if actual.dtype.kind not in "fiub" or not np.isin(actual, np.arange(classes)).all():
        return {}
    if values.shape[1] == 1 and ((values >= 0) & (values <= 1)).all():
        values = np.hstack([1 - values, values])
    if not values.size or not _are_probabilities(values) or (values < 0).any():
        return {}
    metrics = {"accuracy": float(np.mean(values.argmax(axis=1) == actual))}
    if classes == 2:
        score, positive = values[:, 1].astype(np.float64), actual == 1
        area = auc(score, positive)
        metrics |= {"brier": float(np.mean((score - positive) ** 2))} | (
            {} if area is None else {"auc": area}
        )
    return metrics


def findings_of(signature: Signature, reference: Reference, answers: Answers) -> list[Finding]:
    """What the run on the reference set showed."""
    found = []
    if answers.failures:
        row, why = answers.example or (0, "")
        told = f"{answers.failures} of {reference.rows} reference rows failed: row {row}: {why}"
        found.append(finding("reference_rows_failed", told))
    if reference.offered > reference.rows:
        told = f"The baseline uses {reference.rows} of the {reference.offered} reference rows."
        found.append(finding("reference_thinned", told, "info"))
    for name, values in answers.outputs.items():
        found += _about_output(name, values)
    found += [
        finding(
            "output_not_profiled", f"Output {name!r} has no row per input row; it has no baseline.", "info"
        )
        for name in answers.unprofiled
    ]
    columns = sum(t.width or 0 for t in signature.inputs)
    if columns > MAX_COLUMNS:
        told = f"The baseline covers the first {MAX_COLUMNS} of {columns} input columns."
        found.append(finding("profile_limited", told, "info"))
    return found


def _about_output(name: str, values: NDArray[Any]) -> list[Finding]:
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            told = f"Output {name!r} is NaN or infinite for {int(bad.sum())} of {len(values)} reference rows."
            return [finding("output_not_finite", told)]
    if len(values) > 1 and all(value == values.flat[0] for value in values.flat):
        return [finding("output_constant", f"Output {name!r} is the same for every reference row.")]
    return []


def _input_columns(
    signature: Signature, feature_names: Sequence[str], feeds: Mapping[str, NDArray[Any]]
) -> list[Column]:
    names = signature.column_names(feature_names)
    if names is None:
        return []
    columns: list[Column] = []
    for tensor in signature.inputs:
        for values, column in _split_columns(feeds[tensor.name]):
            columns.append(Column(names[len(columns)], tensor.name, column, values))
    return columns


def _output_columns(tensor: Tensor, outputs: Mapping[str, NDArray[Any]]) -> list[Column]:
    values = outputs.get(tensor.name)
    if values is None or values.ndim > 2:
        return []
    parts = _split_columns(values)
    if len(parts) == 1:
        series, column = parts[0]
        few = series.dtype.kind not in "f" and len(set(series.tolist())) <= MAX_CATEGORIES
        return [Column(tensor.name, tensor.name, column, series, categorical=few)]
    if len(parts) == 2 and _are_probabilities(values):
        parts = parts[1:]  # the other one is its complement
    return [Column(f"{tensor.name}_{column}", tensor.name, column, series) for series, column in parts]


def _split_columns(values: NDArray[Any]) -> list[tuple[NDArray[Any], int | None]]:
    if values.ndim == 1:
        return [(values, None)]
    return [(values[:, column], column) for column in range(values.shape[1])]


def _are_probabilities(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and bool(np.allclose(values.sum(axis=1), 1, atol=1e-3))
