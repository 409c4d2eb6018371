"""Answers of the protocol: inference, metadata of server and model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from deploy.serving.datatypes import Array, from_bfloat16
from deploy.serving.signature import Signature, TensorSpec

from . import binary

EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
PLATFORM = "onnx_onnxv1"


def render_infer(
    model: str,
    version: str,
    request_id: str | None,
    signature: Signature,
    wanted: Sequence[tuple[int, bool]],
    outputs: Sequence[Array],
) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON head when tensors follow in binary, else None."""
    tensors: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for position, as_binary in wanted:
        spec, array = signature.outputs[position], outputs[position]
        tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype.oip, "shape": array.shape}
        if as_binary:
            content = binary.encode(array, spec.datatype)
            tensor["parameters"] = {"binary_data_size": len(content)}
            tail.append(content)
        else:
            tensor["data"] = _json_data(spec, array)
        tensors.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": tensors}
    if request_id is not None:
        document["id"] = request_id
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((head, *tail)), len(head)) if tail else (head, None)


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
