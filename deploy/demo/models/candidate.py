"""What a training run hands over, and what the demo expects to become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .datasets import Dataset, Floats


@dataclass(frozen=True, slots=True)
class Expectation:
    """How the release of a version ends: `phase` of its rollout, and the kind of gate that ends it.

    A champion goes live without a rollout: its phase is None.
    """

    phase: str | None
    gate: str | None = None


CHAMPION = Expectation(None)
PROMOTED = Expectation("succeeded")


def rolled_back(gate: str) -> Expectation:
    return Expectation("rolled_back", gate)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One trained version: the exported file and what its training run knows about it.

    `label` is its semantic version. `reference` [N, F] are the rows it was fitted on. `offline` is what
    the training code itself predicts for the held-out rows (the class-1 probability of a classifier),
    before any export.
    """

    name: str
    label: str
    notes: str
    artifact: bytes
    reference: Floats
    reference_target: NDArray[np.float64]
    offline: NDArray[np.float64]
    hyperparameters: Mapping[str, Any]
    parent: int | None
    expectation: Expectation


@dataclass(frozen=True, slots=True)
class Family:
    """One registry model with its versions, oldest first; `task` is regression or classification."""

    model: str
    endpoint: str
    owner_team: str
    description: str
    task: str
    dataset: Dataset
    candidates: tuple[Candidate, ...]
