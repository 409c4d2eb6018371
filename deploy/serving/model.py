"""One loaded model: an ONNX Runtime session and its signature."""

from __future__ import annotations

import ctypes
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from . import providers
from .artifact import Artifact
from .datatypes import BY_ONNX, Array
from .errors import LoadError, ModelFailed
from .signature import Signature, read_signature

# What stands around the reason in ONNX Runtime's messages: its own status, and where in its sources it arose.
_STATUS = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'(.*?)' Status Message: ")
_PLACE = re.compile(
    r"/\S+\.(?:cc|cpp|h|cu):\d+ [^()\[\]]*\([^()]*\)(?: const)?(?:::<lambda\(\)>)?(?: \[with [^\]]*\])? "
)
_SHOWN = 300
_LISTED = 20


class Model:
    """Runs batches. Thread-safe: a session may be run from several threads."""

    def __init__(
        self, session: ort.InferenceSession, signature: Signature, bound: bool = False, note: str = ""
    ) -> None:
        """With `bound`, runs bind inputs and outputs instead of passing arrays; `note` is for the log."""
        self.signature = signature
        self.note = note
        self.on_gpu = providers.on_gpu(session.get_providers())
        self._session = session
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._has_bfloat16 = any(
            spec.datatype.oip == "BF16" for spec in (*signature.inputs, *signature.outputs)
        )
        # Strings have no memory that could be bound.
        texts = any(spec.datatype.oip == "BYTES" for spec in (*signature.inputs, *signature.outputs))
        self._bound = bound and not texts and not self._has_bfloat16

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Compute all outputs; tensors are in signature order.

        Raises:
            ModelFailed: the runtime refused or failed, with its reason in one line.
        """
        try:
            if self._has_bfloat16:
                return self._run_values(inputs)
            if self._bound:
                return self._run_bound(inputs)
            feed = dict(zip(self._inputs, inputs, strict=True))
            outputs: list[Array] = self._session.run(self._outputs, feed)
        except Exception as error:
            raise ModelFailed(f"the model failed on this input: {_reason(error)}") from error
        return outputs

    def _run_bound(self, inputs: Sequence[Array]) -> list[Array]:
        """As `run`; outputs stay where they were computed until all are there, then are copied at once."""
        binding = self._session.io_binding()
        for name, array in zip(self._inputs, inputs, strict=True):
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in self._outputs:
            binding.bind_output(name, "cuda" if self.on_gpu else "cpu")
        self._session.run_with_iobinding(binding)
        outputs: list[Array] = binding.copy_outputs_to_cpu()
        return outputs

    def _run_values(self, inputs: Sequence[Array]) -> list[Array]:
        """As `run`, for bfloat16 tensors: numpy only carries their bits."""
        feed = {}
        for spec, array in zip(self.signature.inputs, inputs, strict=True):
            if spec.datatype.oip == "BF16":
                feed[spec.name] = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
            else:
                feed[spec.name] = ort.OrtValue.ortvalue_from_numpy(array)
        values = self._session.run_with_ort_values(self._outputs, feed)
        return [_to_numpy(value) for value in values]


_NOWHERE = "/dev/null/nothing"
_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16


def _to_numpy(value: Any) -> Array:
    if value.data_type() != "tensor(bfloat16)":
        array: Array = value.numpy()
        return array
    # ONNX Runtime has no numpy type for it, so the bits are copied from where the value lies.
    shape = value.shape()
    content = ctypes.string_at(value.data_ptr(), math.prod(shape) * 2)
    return np.frombuffer(content, dtype=np.uint16).reshape(shape)


def _reason(error: Exception) -> str:
    """The runtime's message without its prefix, in one line of bounded length."""
    text = _PLACE.sub("", _NODE.sub(r"\1: ", _STATUS.sub("", str(error)))).replace("\n", " ").strip()
    return text[:_SHOWN] or type(error).__name__


def load_model(
    artifact: Artifact,
    threads: int,
    histograms: dict[str, Any] | None,
    provider: str = "cpu",
    *,
    io_binding: str = "auto",
    cache: Path | None = None,
) -> Model:
    """Open the artifact with `threads` threads on `provider` (auto, cpu, cuda, tensorrt).

    `io_binding` is auto, on or off; engines that TensorRT builds are kept below `cache`.

    Raises:
        LoadError: the runtime cannot load it, or its inputs or outputs cannot be served.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin between runs burn the CPU that parsing and other models need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen = providers.choose(provider, ort.get_available_providers())
    if providers.on_gpu(chosen):
        ort.preload_dlls()  # those of the nvidia-… wheels, where they are installed
    listed = providers.with_options(chosen, cache)
    content, classes = _tensors_only(artifact.content)
    try:
        with _beside(options, artifact):
            session = ort.InferenceSession(content, options, providers=listed)
    except Exception as error:
        raise LoadError(f"ONNX Runtime cannot load the artifact: {_reason(error)}") from error
    providers.check(provider, session.get_providers())
    metadata = session.get_modelmeta().custom_metadata_map
    signature = read_signature(session.get_inputs(), session.get_outputs(), metadata, histograms)
    if not signature.inputs:
        raise LoadError("the model has no inputs")
    active = session.get_providers()
    told = [providers.fallen_back(chosen, active), *map(_columns, classes.items())]
    left_out = [arg for arg in session.get_outputs() if arg.type not in BY_ONNX]
    told += [f"{arg.name} is left out: {arg.type}" for arg in left_out]
    return Model(session, signature, providers.binds(io_binding, active), "; ".join(filter(None, told)))


def _tensors_only(content: bytes) -> tuple[bytes, dict[str, list[str]]]:
    if b"ZipMap" not in content:
        return content, {}
    from .zipmap import without_zipmaps  # its library takes time and memory that only such models need

    return without_zipmaps(content)


def _columns(output: tuple[str, list[str]]) -> str:
    name, classes = output
    more = ", …" if len(classes) > _LISTED else ""
    return f"the columns of {name} are the classes {', '.join(classes[:_LISTED])}{more}"


@contextmanager
def _beside(options: ort.SessionOptions, artifact: Artifact) -> Iterator[None]:
    """While it lasts a session may be made that finds the artifact's other files, mapped instead of read.

    And finds no others: ONNX Runtime would read what a model names from the working directory, where the
    server's own secrets may lie, if it had no table of files (so one is there in any case), and tensors of
    nested graphs, which it never looks up in the table, if it knew of no other folder.
    """
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    with ExitStack() as stack:
        found: dict[str, bytes | mmap] = {"": b"\0"}
        for name, path in artifact.beside.items():
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size:  # nothing cannot be mapped
                    found[name] = stack.enter_context(mmap(file.fileno(), 0, access=ACCESS_READ))
        sizes = list(map(len, found.values()))
        options.add_external_initializers_from_files_in_memory(list(found), list(found.values()), sizes)
        yield
