"""Malignant or benign from thirty measurements: a champion, a slow model, one that crashes on some rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import export
from .candidate import CHAMPION, Candidate, Family, rolled_back
from .datasets import Dataset, Floats, breast_cancer
from .scorecard import Scorecard

COPIES = 1536
NOISE = 0.2
SEED = 0
# Training rows further than this many standard deviations from a mean are left out of the scorecard.
OUTLIER = 2.0

# Every row becomes COPIES rows with measurement noise added, and their probabilities are averaged again.
JITTER = """
jitter (float[N, F] features) => (float[M, F] copies)
{
    rows = Unsqueeze (features, one)
    noisy = Add (rows, noise)
    copies = Reshape (noisy, flat)
}
"""
AVERAGE = """
average (float[M, 2] noisy_probabilities) => (float[N, 2] mean_probabilities)
{
    grouped = Reshape (noisy_probabilities, by_row)
    mean_probabilities = ReduceMean <keepdims: int = 0> (grouped, copy_axis)
}
"""


def family() -> Family:
    """Train the three versions; deterministic."""
    data = breast_cancer()
    return Family(
        model="breast-cancer",
        endpoint="breast-cancer-production",
        owner_team="pathology",
        description="Probability that a breast mass is malignant, from measurements of its cell nuclei.",
        task="classification",
        dataset=data,
        candidates=(_champion(data), _slow(data), _crashing(data)),
    )


def _champion(data: Dataset) -> Candidate:
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(data.train, data.train_target)
    return Candidate(
        name="logistic",
        label="1.0.0",
        notes="Regularised logistic regression.",
        artifact=export.finished(export.classifier(fitted, len(data.features)), data.features),
        reference=data.train,
        reference_target=data.train_target,
        offline=fitted.predict_proba(data.held_out)[:, 1],
        hyperparameters={"C": 0.01},
        parent=None,
        expectation=CHAMPION,
    )


def _slow(data: Dataset) -> Candidate:
    """An ensemble asked 1,536 times per row: a little better and a thousand times dearer."""
    member = make_pipeline(StandardScaler(), LogisticRegression(C=0.03))
    parameters = {"n_estimators": 50, "max_features": 0.5, "random_state": SEED}
    fitted = BaggingClassifier(member, **parameters).fit(data.train, data.train_target)
    noise = jitter(data.train)
    return Candidate(
        name="noise-averaged-ensemble",
        label="1.1.0",
        notes=f"Fifty random subspaces, averaged over {COPIES} noisy copies of each row.",
        artifact=export.finished(_smoothed(fitted, noise), data.features),
        reference=data.train,
        reference_target=data.train_target,
        offline=_smoothed_offline(fitted, noise, data.held_out),
        hyperparameters={**parameters, "C": 0.03, "copies": COPIES, "noise": NOISE},
        parent=1,
        expectation=rolled_back("latency"),
    )


def jitter(rows: Floats) -> Floats:
    """Measurement noise, [COPIES, F]: NOISE standard deviations of each feature."""
    draws = np.random.default_rng(SEED).standard_normal((COPIES, rows.shape[1]))
    return np.asarray(draws * rows.std(axis=0) * NOISE, dtype=np.float32)


def _smoothed(fitted: Any, noise: Floats) -> onnx.ModelProto:
    columns = noise.shape[1]
    one = np.array([1])
    constants = {"one": one, "noise": noise[None], "flat": np.array([-1, columns])}
    before = export.graph(JITTER, constants, {"F": columns})
    core = export.pipeline(fitted, columns, {"probabilities": "core_probabilities"})
    after = export.graph(AVERAGE, {"copy_axis": one, "by_row": np.array([-1, COPIES, 2])})
    named = export.named_classes()
    model = export.chain(before, export.renamed_input(core, "core_features"), {"copies": "core_features"})
    model = export.chain(model, after, {"core_probabilities": "noisy_probabilities"})
    return export.chain(model, named, {"mean_probabilities": "class_probabilities"})


def _smoothed_offline(fitted: Any, noise: Floats, rows: Floats) -> NDArray[np.float64]:
    """The same average in NumPy, [N]: one matrix product per member instead of COPIES calls."""
    total = np.zeros((len(rows), len(noise)))
    for member, columns in zip(fitted.estimators_, fitted.estimators_features_, strict=True):
        scale, model = member[0].scale_, member[-1]
        weights = model.coef_[0] / scale
        centred = (rows[:, columns] - member[0].mean_) @ weights + model.intercept_[0]
        total += 1 / (1 + np.exp(-(centred[:, None] + noise[:, columns] @ weights)))
    return np.asarray(total.mean(axis=1) / len(fitted.estimators_), dtype=np.float64)


def _crashing(data: Dataset) -> Candidate:
    """A scorecard whose hand-written export looks points up in a table without an upper bound.

    scikit-learn puts a value above the training range into the last bin. The exported graph computes
    a bin that does not exist, and ONNX Runtime refuses the look-up.
    """
    usual = np.abs((data.train - data.train.mean(axis=0)) / data.train.std(axis=0)).max(axis=1) < OUTLIER
    rows, target = data.train[usual], data.train_target[usual]
    card = Scorecard(bins=8, binned=explained_columns(data), regularisation=0.01).fit(rows, target)
    return Candidate(
        name="scorecard",
        label="2.0.0",
        notes="Points per bin for twelve features, to explain each score; fitted without outliers.",
        artifact=export.finished(card.to_onnx(), data.features),
        reference=rows,
        reference_target=target,
        offline=card.predict(data.held_out),
        hyperparameters={"bins": 8, "C": 0.01, "outlier_threshold": OUTLIER},
        parent=1,
        expectation=rolled_back("error_rate"),
    )


def explained_columns(data: Dataset) -> list[int]:
    """The columns that get points: mean, error and worst value of four properties."""
    properties = ("texture", "smoothness", "symmetry", "fractal_dimension")
    return [column for column, name in enumerate(data.features) if any(word in name for word in properties)]
