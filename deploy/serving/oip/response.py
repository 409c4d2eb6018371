"""Answers of the protocol: inference, metadata of server and model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson

from deploy.serving.datatypes import Array, from_bfloat16
from deploy.serving.signature import Signature, TensorSpec

from . import binary

EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
PLATFORM = "onnx_onnxv1"


REMEMBERED_HEADS = 256
Wanted = tuple[tuple[int, bool], ...]
"""Outputs that were asked for: (index in the signature, in binary)."""
Shapes = tuple[tuple[int, ...], ...]
_shape = attrgetter("shape")


class InferWriter:
    """Writes answers of one model.

    Heads of answers that are all binary only tell shapes, so they are remembered.
    """

    def __init__(self, model: str, version: str, signature: Signature) -> None:
        self._model, self._version, self._signature = model, version, signature
        self._types = [spec.datatype for spec in signature.outputs]
        self._head = _binary_heads(model, version, signature)

    def render(
        self, request_id: str | None, wanted: Wanted, outputs: Sequence[Array]
    ) -> tuple[bytes, int | None]:
        """The body, and the length of its JSON head when tensors follow in binary, else None."""
        if request_id is None:
            head = self._head(wanted, tuple(map(_shape, outputs)))
            if head is not None:
                parts = [binary.encode(outputs[at], self._types[at]) for at, _ in wanted]
                return b"".join((head, *parts)), len(head)
        return self._render(request_id, wanted, outputs)

    def _render(
        self, request_id: str | None, wanted: Wanted, outputs: Sequence[Array]
    ) -> tuple[bytes, int | None]:
        tensors: list[dict[str, Any]] = []
        tail: list[bytes] = []
        for position, as_binary in wanted:
            spec, array = self._signature.outputs[position], outputs[position]
            tensor = _tensor(spec, array.shape)
            if as_binary:
                content = binary.encode(array, spec.datatype)
                tensor["parameters"] = {"binary_data_size": len(content)}
                tail.append(content)
            else:
                tensor["data"] = _json_data(spec, array)
            tensors.append(tensor)
        document: dict[str, Any] = {
            "model_name": self._model, "model_version": self._version, "outputs": tensors
        }  # fmt: skip
        if request_id is not None:
            document["id"] = request_id
        head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        return (b"".join((head, *tail)), len(head)) if tail else (head, None)


def _binary_heads(model: str, version: str, signature: Signature) -> Callable[[Wanted, Shapes], bytes | None]:
    """Makes the head of an answer without an id; None if it has values, or strings, whose length it tells."""

    @lru_cache(REMEMBERED_HEADS)
    def head(wanted: Wanted, shapes: Shapes) -> bytes | None:
        tensors = []
        for position, as_binary in wanted:
            spec, shape = signature.outputs[position], shapes[position]
            if not as_binary or spec.datatype.oip == "BYTES":
                return None
            size = math.prod(shape) * spec.datatype.dtype.itemsize
            tensors.append({**_tensor(spec, shape), "parameters": {"binary_data_size": size}})
        return orjson.dumps({"model_name": model, "model_version": version, "outputs": tensors})

    return head


def _tensor(spec: TensorSpec, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype.oip, "shape": shape}


def _json_data(spec: TensorSpec, array: Array) -> Any:
    if spec.datatype.oip == "BF16":
        array = from_bfloat16(array)
    flat = array.reshape(-1)
    return flat.tolist() if flat.dtype.kind == "O" else flat


def server_metadata(version: str) -> dict[str, Any]:
    """GET /v2."""
    return {"name": "slipway-serving", "version": version, "extensions": EXTENSIONS}


def model_metadata(model: str, versions: Sequence[str], signature: Signature) -> dict[str, Any]:
    """GET /v2/models/{model}."""
    return {
        "name": model,
        "versions": list(versions),
        "platform": PLATFORM,
        "inputs": [_tensor_metadata(spec) for spec in signature.inputs],
        "outputs": [_tensor_metadata(spec) for spec in signature.outputs],
    }


def model_config(model: str, signature: Signature, max_batch: int) -> dict[str, Any]:
    """GET /v2/models/{model}/config, in the words of Triton's model configuration.

    Dimensions leave the batch axis out where requests may share it (`max_batch_size` above 0).
    """
    batchable = signature.batchable
    skip = 1 if batchable else 0
    return {
        "name": model,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": max_batch if batchable else 0,
        "input": [_tensor_config(spec, skip) for spec in signature.inputs],
        "output": [_tensor_config(spec, skip) for spec in signature.outputs],
    }


def _tensor_config(spec: TensorSpec, skip: int) -> dict[str, Any]:
    oip = spec.datatype.oip
    return {
        "name": spec.name,
        "data_type": "TYPE_STRING" if oip == "BYTES" else f"TYPE_{oip}",
        "dims": list(spec.shape[skip:]),
    }


def _tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype.oip, "shape": list(spec.shape)}
