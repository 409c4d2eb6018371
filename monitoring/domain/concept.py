"""How right a version was, from predictions and the labels that came later.

What a sampled prediction says is read from its outputs: a list of one or two values in [0, 1] that sum to 1
are probabilities, a text or whole number beside them is the class. Only requests of one row can be told
apart from their label; others are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from monitoring.domain.arrays import BoolArray, FloatArray
from registry.domain.ranking import auc

CALIBRATION_BINS = 10
MAX_CLASSES = 50
Kind = Literal["binary", "classes", "numbers"]
# What gets better as it grows; everything else gets worse.
HIGHER_IS_BETTER = frozenset({"accuracy", "precision", "recall", "f1", "auc", "r2"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one prediction said: a class, the probability of class 1, a number; each None when unknown."""

    name: str | None = None
    probability: float | None = None
    number: float | None = None

    @classmethod
    def of(cls, outputs: Mapping[str, Sequence[Any]]) -> Answer | None:
        """From the outputs of a request of one row; None when they tell nothing or hold several rows."""
        name = probability = number = None
        for key in sorted(outputs):
            values = outputs[key]
            numbers = [value for value in values if isinstance(value, int | float)]
            if len(values) > 1 and len(numbers) == len(values) and _sums_to_one(numbers):
                probability = numbers[1] if len(values) == 2 else None
                name = name or _class(int(np.argmax(numbers)))
            elif len(values) != 1:
                return None
            elif isinstance(values[0], str):
                name = values[0]
            elif numbers and ("label" in key.lower() or "class" in key.lower()):
                name = _class(numbers[0])
            elif numbers:
                number = numbers[0] if number is None else number
        if probability is None and number is not None and 0 <= number <= 1:
            probability = number
        return cls(name, probability, number) if (name, probability, number) != (None, None, None) else None


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over `n` labelled predictions; which ones depends on the kind."""

    kind: Kind
    n: int
    metrics: Mapping[str, float]


def assess(pairs: Sequence[tuple[Answer, float | str]]) -> Quality | None:
    """From (answer, label) pairs; None without any that compare.

    Labels of 0 and 1 with probabilities: a binary classifier, class 1 being what is looked for. Labels that
    name classes: a classifier. Other numbers: a regressor.
    """
    if not pairs:
        return None
    labels = [label for _, label in pairs]
    if all(label in (0.0, 1.0) for label in labels) and any(a.probability is not None for a, _ in pairs):
        return _binary([(a, float(label)) for a, label in pairs if a.probability is not None])
    if any(isinstance(label, str) for label in labels) or all(a.name is not None for a, _ in pairs):
        return _classes([(a.name, _class(label)) for a, label in pairs if a.name is not None])
    return _numbers([(a.number, float(label)) for a, label in pairs if a.number is not None])


def calibration_error(probabilities: FloatArray, positive: BoolArray) -> float:
    """Expected calibration error over ten bins of equal width (Naeini, Cooper & Hauskrecht 2015)."""
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    said = np.bincount(bins, probabilities, CALIBRATION_BINS)
    true = np.bincount(bins, positive, CALIBRATION_BINS)
    return float(np.abs(said - true).sum() / len(probabilities))


def _binary(pairs: Sequence[tuple[Answer, float]]) -> Quality | None:
    probabilities = np.array([answer.probability for answer, _ in pairs], dtype=np.float64)
    positive = np.array([label == 1 for _, label in pairs])
    said = np.array([p >= 0.5 if a.name not in {"0", "1"} else a.name == "1"
                     for (a, _), p in zip(pairs, probabilities, strict=True)])  # fmt: skip
    metrics = {
        "accuracy": float((said == positive).mean()),
        **_ratios(int((said & positive).sum()), int(said.sum()), int(positive.sum())),
        "brier": float(((probabilities - positive) ** 2).mean()),
        "ece": calibration_error(probabilities, positive),
    }
    area = auc(probabilities, positive)
    return Quality("binary", len(pairs), metrics | ({} if area is None else {"auc": area}))


def _classes(pairs: Sequence[tuple[str, str]]) -> Quality | None:
    """Precision and recall are means over the classes, each counting the same."""
    if not pairs:
        return None
    said, true = Counter(name for name, _ in pairs), Counter(label for _, label in pairs)
    right = Counter(label for name, label in pairs if name == label)
    metrics = {"accuracy": sum(right.values()) / len(pairs)}
    names = sorted({*said, *true})
    if len(names) <= MAX_CLASSES:
        metrics["precision"] = sum(right[name] / said[name] for name in names if said[name]) / len(names)
        metrics["recall"] = sum(right[name] / true[name] for name in names if true[name]) / len(names)
    return Quality("classes", len(pairs), metrics)


def _numbers(pairs: Sequence[tuple[float, float]]) -> Quality | None:
    if not pairs:
        return None
    said, true = np.array(pairs, dtype=np.float64).T
    error = said - true
    metrics = {
        "mae": float(np.abs(error).mean()),
        "rmse": math.sqrt(float((error**2).mean())),
        "bias": float(error.mean()),
    }
    spread = float(((true - true.mean()) ** 2).sum())
    if spread > 0:
        metrics["r2"] = 1 - float((error**2).sum()) / spread
    return Quality("numbers", len(pairs), metrics)


def _ratios(right: int, said: int, true: int) -> dict[str, float]:
    found = {}
    if said:
        found["precision"] = right / said
    if true:
        found["recall"] = right / true
    if said + true:
        found["f1"] = 2 * right / (said + true)
    return found


def _sums_to_one(values: Sequence[float]) -> bool:
    return all(0 <= value <= 1 for value in values) and abs(sum(values) - 1) < 1e-3


def _class(value: float | str) -> str:
    """A class as text; whole numbers without their decimals."""
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else f"{value:g}"
