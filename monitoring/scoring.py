"""A version scored over the tables of a folder: in chunks, each a part of the result, resumed after the last.

The result is the same, byte for byte, whether the run was interrupted or not: a part depends on its chunk and
on the version only, and what is summed up at the end is read from the parts.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.adapters.onnx_model import OnnxModel
from monitoring.adapters.tables import Columns, Folder
from monitoring.domain.drift.assessment import ColumnDrift, measure, ranked, state_of
from monitoring.domain.histogram import Histogram
from registry.domain.profile import bin_counts
from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid
from registry.models import Version
from registry.ports import ArtifactStore

PLAN, PROGRESS, RESULT = "_plan.json", "_progress.json", "_result.json"
CHUNK_ROWS = 10_000
OTHER = "other"
Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What is scored: a ready ONNX version, a folder of tables, and where the parts go."""

    version: Version
    source: Folder
    target: Folder
    chunk_rows: int = CHUNK_ROWS

    def plan(self) -> dict[str, Any]:
        """What a resumed run must agree with."""
        if self.chunk_rows < 1:
            raise Invalid(f"{self.chunk_rows} rows make no chunk: use at least 1.")
        files = self.source.files()
        if not files:
            raise Invalid(f"{self.source.place} holds no CSV, Parquet or NPZ file.")
        return {**self.about, "chunk_rows": self.chunk_rows, "source": self.source.place, "files": files}

    @property
    def about(self) -> dict[str, str]:
        """Which model answered; part of every part's metadata."""
        return {"version": self.version.ref, "digest": self.version.digest}


def score(
    job: Job, store: ArtifactStore, say: Say = lambda progress: None, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Scores what is not scored yet; the result document, or None when `stop` said so after a new part.

    Raises Invalid for input that is no table or does not fit the version, and for a target that holds
    another run's parts. May be killed at any moment and called again.
    """
    version, target = job.version, job.target
    if version.format != "onnx" or version.file_count:
        raise Invalid(f"{version.ref} is no ONNX file, and only those are scored here.")
    plan, there = job.plan(), target.names()
    if PLAN in there and target.read_json(PLAN) != plan:
        raise Invalid(f"{target.place} holds the parts of another run: name an empty folder.")
    target.write_json(PLAN, plan)
    parts, rows = list[str](), 0
    with _model(version, store) as model:
        for index, name in enumerate(plan["files"]):
            for part, count, fresh in _score_file(job, model, index, name, there):
                parts.append(part)
                rows += count
                progress = {"file": index + 1, "files": len(plan["files"]), "parts": len(parts), "rows": rows}
                target.write_json(PROGRESS, progress)
                say(progress)
                if fresh and stop():
                    return None
    outputs = _compared(job, parts)
    result = {**job.about, "parts": parts, "rows": rows, "outputs": outputs, "state": _state(outputs)}
    target.write_json(RESULT, result)
    return result


def _score_file(
    job: Job, model: OnnxModel, index: int, name: str, there: set[str]
) -> Iterator[tuple[str, int, bool]]:
    """Every part of a file with its rows and whether it is new; a file that is done is not read again."""
    done = f"_file-{index:05d}.json"
    if done in there:
        yield from ((part, rows, False) for part, rows in job.target.read_json(done)["parts"])
        return
    parts = []
    for number, chunk in enumerate(job.source.chunks(name, job.chunk_rows)):
        part = f"part-{index:05d}-{number:06d}.parquet"
        if part not in there:
            _score_chunk(job, model, chunk, part, name)
        parts.append((part, len(next(iter(chunk.values())))))
        yield *parts[-1], part not in there
    job.target.write_json(done, {"file": name, "parts": parts})


def _score_chunk(job: Job, model: OnnxModel, chunk: Columns, part: str, name: str) -> None:
    answers = model.run(feeds(job.version, chunk))
    columns = {key: answer.reshape(-1) if _is_column(answer) else answer for key, answer in answers.items()}
    counts = [_counted(item, answers) for item in _outputs(job.version)]
    job.target.write_table(part, columns, {**job.about, "file": name, "counts": counts})


def _is_column(answer: NDArray[Any]) -> bool:
    """Whether a row has one value, in whatever shape."""
    return answer.ndim > 1 and int(np.prod(answer.shape[1:])) == 1


def feeds(version: Version, columns: Columns) -> dict[str, NDArray[Any]]:
    """The model's inputs from a chunk: by the tensors' names, else columns by the features' names.

    Raises Invalid that names what is missing.
    """
    signature = Signature.from_dict(version.signature)
    if all(_fits(tensor, columns) for tensor in signature.inputs):
        return {tensor.name: _typed(columns[tensor.name], tensor) for tensor in signature.inputs}
    names = signature.column_names(version.feature_names)
    if names is None:
        tensors = ", ".join(tensor.name for tensor in signature.inputs)
        raise Invalid(f"{version.ref} takes no table: give the arrays {tensors} as NPZ.")
    missing = [name for name in names if name not in columns]
    if missing:
        raise Invalid(f"the input lacks the columns {', '.join(missing[:12])}.")
    found, at = {}, 0
    for tensor in signature.inputs:
        own = [columns[name] for name in names[at : at + (tensor.width or 0)]]
        at += len(own)
        found[tensor.name] = _typed(own[0] if len(tensor.shape) == 1 else np.column_stack(own), tensor)
    return found


def _fits(tensor: Tensor, columns: Columns) -> bool:
    return tensor.name in columns and columns[tensor.name].ndim == len(tensor.shape)


def _typed(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    try:
        return values.astype(object if tensor.dtype == "string" else tensor.dtype)
    except (TypeError, ValueError) as error:
        raise Invalid(f"the input {tensor.name} must be {tensor.dtype}: {error}") from error


def _outputs(version: Version) -> list[Mapping[str, Any]]:
    return list((version.profile or {}).get("outputs", ()))


def _counted(item: Mapping[str, Any], answers: Columns) -> list[int]:
    """How the chunk's answers fall into the bins of a baseline's item."""
    values = answers[item["tensor"]]
    column = values if values.ndim == 1 else values.reshape(len(values), -1)[:, item["column"] or 0]
    if item["kind"] == "numeric":
        column = column.astype(np.float64)
        return bin_counts(column[~np.isnan(column)], item["edges"])
    known = [str(category) for category in item["categories"]]
    seen = Counter(str(value) for value in column.tolist())
    others = sum(count for value, count in seen.items() if value not in known)
    return [*(seen[category] for category in known), others]


def _compared(job: Job, parts: list[str]) -> list[dict[str, Any]]:
    """Each output's distribution over all parts against the baseline, the most drifted first."""
    items = _outputs(job.version)
    totals: list[list[int]] = [[] for _ in items]
    for part in parts:
        for index, counts in enumerate(job.target.about(part)["counts"]):
            kept = totals[index] or [0] * len(counts)
            totals[index] = [a + b for a, b in zip(kept, counts, strict=True)]
    found = [
        measure(item, "outputs", _side(item, total), len(items))
        for item, total in zip(items, totals, strict=True)
    ]
    return [column.to_dict() for column in ranked(found)]


def _side(item: Mapping[str, Any], counts: list[int]) -> Histogram | dict[str, float]:
    if item["kind"] == "numeric":
        return Histogram.of(item["edges"], counts)
    names = [*map(str, item["categories"]), OTHER]
    return {name: float(count) for name, count in zip(names, counts, strict=True) if count}


def _state(outputs: list[dict[str, Any]]) -> str:
    return state_of([ColumnDrift(**document) for document in outputs])


class _model:
    """The version's model from the store, in a file for as long as it is needed."""

    def __init__(self, version: Version, store: ArtifactStore) -> None:
        self._version, self._store = version, store
        self._folder = tempfile.TemporaryDirectory(prefix="slipway-score-")

    def __enter__(self) -> OnnxModel:
        path = Path(self._folder.name) / "model.onnx"
        try:
            with self._store.open(self._version.digest) as stream, path.open("wb") as file:
                shutil.copyfileobj(stream, file)
            return OnnxModel(path)
        except BaseException:
            self._folder.cleanup()
            raise

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
