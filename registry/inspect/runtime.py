"""The model in ONNX Runtime: does it load, what does it take and give, what does it answer."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid
from registry.inspect.graph import first_line

BATCH = 256
_DTYPES = {"float": "float32", "double": "float64"}
_TENSOR = re.compile(r"tensor\((\w+)\)")
_PATH = re.compile(r"Load model from \S+ failed:\s*")
_BESIDE = "session.model_external_initializers_file_folder_path"
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


def load_session(path: Path, content: bytes | None = None) -> tuple[ort.InferenceSession, float]:
    """A single-threaded session and the seconds it took to load; `Invalid` with the runtime's reason.

    content: what to load in place of the file, with other files from beside it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry(_BESIDE, str(path.parent))
    begun = time.perf_counter()
    try:
        session = ort.InferenceSession(content or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Invalid(
            f"ONNX Runtime {ort.__version__} cannot load the model: {reason(error)}", field="artifact"
        ) from error
    return session, time.perf_counter() - begun


def signature_of(session: ort.InferenceSession) -> Signature:
    """Inputs and outputs as the runtime sees them."""
    return Signature(
        tuple(_tensor(node) for node in session.get_inputs()),
        tuple(_tensor(node) for node in session.get_outputs()),
    )


def reason(error: BaseException) -> str:
    """The runtime's message without its code and the server's paths."""
    return _PATH.sub("", _CODE.sub("", first_line(error)))


@dataclass(slots=True)
class Answers:
    """What the model said: `outputs` by name over the `rows` (indices) that worked, and what failed.

    `failures` counts rows; `example` is (row, reason) of the first.
    """

    outputs: dict[str, NDArray[Any]]
    rows: NDArray[np.int64]
    failures: int = 0
    example: tuple[int, str] | None = None
    seconds: float = 0.0
    unprofiled: list[str] = field(default_factory=list)


def answer(
    session: ort.InferenceSession, signature: Signature, feeds: Mapping[str, NDArray[Any]], rows: int
) -> Answers:
    """Run `rows` reference rows in batches; a batch that fails is run again row by row."""
    fixed = [int(t.shape[0]) for t in signature.inputs if t.shape and isinstance(t.shape[0], int)]
    size = fixed[0] if fixed else BATCH
    names = [t.name for t in signature.outputs if t.is_tensor]
    answers = Answers(outputs={}, rows=np.empty(0, dtype=np.int64))
    good: list[tuple[NDArray[np.int64], list[Any]]] = []
    begun = time.perf_counter()
    for start in range(0, rows - rows % size if fixed else rows, size):
        chunk = np.arange(start, min(start + size, rows))
        good += _run(session, names, feeds, chunk, answers, splittable=not fixed)
    answers.seconds = time.perf_counter() - begun
    _gather(names, good, answers)
    return answers


def trial(session: ort.InferenceSession, signature: Signature) -> str | None:
    """Run one row of zeros (empty texts); why it failed, or None if it did not or no such row can be made.

    Free dimensions are taken as 1.
    """
    if not all(t.is_tensor for t in signature.inputs):
        return None
    feeds = {}
    for tensor in signature.inputs:
        shape = tuple(d if isinstance(d, int) else 1 for d in tensor.shape)
        try:
            feeds[tensor.name] = (
                np.full(shape, "", object) if tensor.dtype == "string" else np.zeros(shape, tensor.dtype)
            )
        except TypeError:
            return None  # a type numpy lacks, such as bfloat16
    try:
        session.run(None, feeds)
    except Exception as error:
        return reason(error)
    return None


def _run(
    session: ort.InferenceSession,
    names: list[str],
    feeds: Mapping[str, NDArray[Any]],
    rows: NDArray[np.int64],
    answers: Answers,
    *,
    splittable: bool,
) -> list[tuple[NDArray[np.int64], list[Any]]]:
    try:
        return [(rows, session.run(names, {name: values[rows] for name, values in feeds.items()}))]
    except Exception as error:
        if splittable and len(rows) > 1:
            parts = (_run(session, names, feeds, row, answers, splittable=False) for row in rows[:, None])
            return [part for found in parts for part in found]
        answers.failures += len(rows)
        answers.example = answers.example or (int(rows[0]), reason(error))
        return []


def _gather(names: list[str], good: list[tuple[NDArray[np.int64], list[Any]]], answers: Answers) -> None:
    if not good:
        return
    answers.rows = np.concatenate([rows for rows, _ in good])
    for position, name in enumerate(names):
        parts = [outputs[position] for _, outputs in good]
        if all(np.ndim(p) and len(p) == len(rows) for p, (rows, _) in zip(parts, good, strict=True)):
            answers.outputs[name] = np.concatenate(parts)
        else:
            answers.unprofiled.append(name)


def _tensor(node: Any) -> Tensor:
    match = _TENSOR.fullmatch(node.type)
    dtype = _DTYPES.get(match.group(1), match.group(1)) if match else node.type
    return Tensor(node.name, dtype, tuple(d if isinstance(d, int | str) else None for d in node.shape))
