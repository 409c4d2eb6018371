"""An ONNX model as a function from rows to answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from registry.errors import Invalid
from registry.inspect.zipmap import without_zipmaps

# Not every exception: a worker's time limit is one too, and says nothing about the rows.
_REFUSALS = (
    state.Fail, state.InvalidArgument, state.RuntimeException, state.NotImplemented, state.EPFail,
    RuntimeError, ValueError, TypeError,
)  # fmt: skip


class OnnxModel:
    """The model in `path` on `threads` threads. Raises Invalid when it cannot be loaded."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = ort.SessionOptions()
        # The same sums in the same order, so that a chunk is answered alike whenever it is.
        options.intra_op_num_threads = threads
        options.use_deterministic_compute = True
        try:
            model = without_zipmaps(path) or str(path)
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Invalid(f"the model cannot be loaded: {error}") from error

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Answers by output for rows by input, as the model server gives them: what is no tensor is left out.

        Raises Invalid when the model refuses the rows.
        """
        outputs = self._session.get_outputs()
        names = [output.name for output in outputs if output.type.startswith("tensor(")]
        try:
            answers = self._session.run(names, dict(feeds))
        except _REFUSALS as error:
            raise Invalid(f"the model refuses these rows: {str(error).splitlines()[0]}") from error
        return {name: np.asarray(answer) for name, answer in zip(names, answers, strict=True)}
