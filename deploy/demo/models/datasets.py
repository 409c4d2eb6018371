"""The data sets bundled with scikit-learn, split once into training rows and held-out rows.

Features keep their raw units (mmHg, mg/dl, µm²): what a caller of the endpoint would send. They are
rounded to float32 before anything is fitted, because float32 is what goes over the wire.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split

Floats = NDArray[np.float32]
HELD_OUT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set: `train` and `held_out` are [N, F] float32, targets are [N]."""

    ref: str
    features: tuple[str, ...]
    train: Floats
    train_target: NDArray[np.float64]
    held_out: Floats
    held_out_target: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """SHA-256 over the training rows and their targets, to tell one split from another."""
        payload = self.train.tobytes() + self.train_target.tobytes()
        return "sha256:" + hashlib.sha256(payload).hexdigest()

    def column(self, name: str) -> int:
        return self.features.index(name)


# The data set spells the blood serum measurements s1…s6; its description says which is which.
SERUM = {
    "s1": "total_cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "cholesterol_ratio",
    "s5": "log_triglycerides",
    "s6": "glucose",
}


def diabetes() -> Dataset:
    """442 patients, ten measurements, and the progression of the disease one year later."""
    raw = load_diabetes(scaled=False)
    features = tuple(SERUM.get(name, name) for name in raw.feature_names)
    return _split("sklearn.datasets.load_diabetes", features, raw.data, raw.target, seed=5, stratify=False)


def breast_cancer() -> Dataset:
    """569 fine-needle aspirates, thirty measurements of the cell nuclei; target 1 is malignant."""
    raw = load_breast_cancer()
    features = tuple(str(name).replace(" ", "_") for name in raw.feature_names)
    malignant = 1 - raw.target
    return _split("sklearn.datasets.load_breast_cancer", features, raw.data, malignant, seed=0, stratify=True)


def _split(
    ref: str,
    features: tuple[str, ...],
    rows: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    seed: int,
    stratify: bool,
) -> Dataset:
    train, held_out, train_target, held_out_target = train_test_split(
        rows.astype(np.float32),
        target.astype(np.float64),
        test_size=HELD_OUT_SHARE,
        random_state=seed,
        stratify=target if stratify else None,
    )
    return Dataset(ref, features, train, train_target, held_out, held_out_target)
