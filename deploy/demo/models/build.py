"""Train every model of the demo into one folder, with a manifest that says what is where."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from deploy.files import write_atomically, write_json

from . import breast_cancer, diabetes
from .candidate import Candidate, Family
from .manifest import FILE, SCHEMA, read_manifest
from .measure import Served, psi, quality, serve

DEPENDENCIES = ("numpy", "scikit-learn", "skl2onnx", "onnx")


def train(folder: Path) -> dict[str, Any]:
    """Train, export, measure and write everything below `folder`; returns the manifest.

    The manifest is written last, so a folder with a manifest is complete.
    """
    families = [_write_family(folder, module.family()) for module in (diabetes, breast_cancer)]
    manifest = {"schema": SCHEMA, "models": families}
    write_json(folder / FILE, manifest)
    return manifest


def load_or_train(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, trained first if it is not there or was written by another release."""
    try:
        return read_manifest(folder)
    except (FileNotFoundError, ValueError):
        return train(folder)


def _write_family(folder: Path, family: Family) -> dict[str, Any]:
    data = family.dataset
    held_out = f"{family.model}/held-out.npz"
    _write_rows(folder / held_out, data.held_out, data.held_out_target)
    served = [serve(candidate.artifact, data.held_out) for candidate in family.candidates]
    return {
        "name": family.model,
        "endpoint": family.endpoint,
        "owner_team": family.owner_team,
        "description": family.description,
        "task": family.task,
        "feature_names": list(data.features),
        "held_out": held_out,
        "versions": [
            _write_version(folder, family, number, candidate, served)
            for number, candidate in enumerate(family.candidates, start=1)
        ],
    }


def _write_version(
    folder: Path, family: Family, number: int, candidate: Candidate, served: list[Served]
) -> dict[str, Any]:
    stem = f"{family.model}/{number}-{candidate.name}"
    write_atomically(folder / f"{stem}.onnx", candidate.artifact, mode=0o644)
    _write_rows(folder / f"{stem}.npz", candidate.reference, candidate.reference_target)
    return {
        "number": number,
        "name": candidate.name,
        "artifact": f"{stem}.onnx",
        "reference": f"{stem}.npz",
        "metadata": _metadata(family, candidate),
        "served": _served(family, served[number - 1], served[0]),
        "expect": {"phase": candidate.expectation.phase, "gate": candidate.expectation.gate},
    }


def _metadata(family: Family, candidate: Candidate) -> dict[str, Any]:
    """What CI tells the registry. Metrics are those of the training run: it never sees the export."""
    return {
        "label": candidate.label,
        "framework": "scikit-learn",
        "training_run": f"{family.model}/{candidate.name}",
        "git_sha": os.environ.get("GIT_COMMIT", ""),
        "dataset_ref": family.dataset.ref,
        "dataset_digest": family.dataset.digest,
        "hyperparameters": dict(candidate.hyperparameters),
        "dependencies": [f"{name}=={version(name)}" for name in DEPENDENCIES],
        "metrics": quality(family.task, candidate.offline, family.dataset.held_out_target),
        "feature_names": list(family.dataset.features),
        "parent": candidate.parent,
        "notes": candidate.notes,
    }


def _served(family: Family, own: Served, champion: Served) -> dict[str, Any]:
    """What the exported file does with the held-out rows that it answers."""
    answered = own.answered
    target = family.dataset.held_out_target
    return {
        "metrics": quality(family.task, own.outputs[answered], target[answered]),
        "error_rate": round(own.error_rate, 4),
        "p50_ms": round(own.p50_ms, 3),
        "p95_ms": round(own.p95_ms, 3),
        "psi": round(psi(champion.outputs, own.outputs[answered]), 4),
    }


def _write_rows(path: Path, rows: Any, target: Any) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, X=np.asarray(rows, dtype=np.float32), y=np.asarray(target, dtype=np.float64))
    write_atomically(path, buffer.getvalue(), mode=0o644)


def table(manifest: dict[str, Any]) -> str:
    """What each version claims and what it does, one line per version."""
    return "\n".join(_lines(manifest))


def _lines(manifest: dict[str, Any]) -> Iterator[str]:
    yield f"{'version':<42}{'training run':<26}{'as served':<26}{'errors':>7}{'p95 ms':>8}{'PSI':>7}  ends"
    for model in manifest["models"]:
        for item in model["versions"]:
            served, expect = item["served"], item["expect"]
            claimed = _scores(item["metadata"]["metrics"])
            ends = " by ".join(filter(None, (expect["phase"], expect["gate"]))) or "champion"
            name = f"{model['name']} v{item['number']} {item['name']}"
            yield (
                f"{name:<42}{claimed:<26}{_scores(served['metrics']):<26}{served['error_rate']:>7.1%}"
                f"{served['p95_ms']:>8.2f}{served['psi']:>7.3f}  {ends}"
            )


def _scores(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
