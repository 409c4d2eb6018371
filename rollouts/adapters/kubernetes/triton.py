"""config.pbtxt of a Triton model repository, from a version's signature.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TYPES = {
    "bool": "TYPE_BOOL", "uint8": "TYPE_UINT8", "uint16": "TYPE_UINT16", "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64", "int8": "TYPE_INT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32",
    "int64": "TYPE_INT64", "float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64",
    "bfloat16": "TYPE_BF16", "string": "TYPE_STRING",
}  # fmt: skip
PLATFORMS = {
    "onnx": "onnxruntime_onnx", "torchscript": "pytorch_libtorch", "savedmodel": "tensorflow_savedmodel",
    "tensorrt": "tensorrt_plan",
}  # fmt: skip
# What the files of these formats do not tell, and Triton does not guess.
UNTOLD = ("torchscript",)
MAX_BATCH = 64


def config(model: str, signature: Mapping[str, Any], *, gpus: int, code: str = "onnx") -> str:
    """The text for a model of the format `code`.

    Batches are formed when the first dimension of every tensor is free.

    Without a signature, or with what is no tensor in it, the tensors are left to Triton, which reads them
    from the model. A plan fixes the batches it takes when it is built, so its tensors are left to Triton too.
    """
    inputs, outputs = list(signature.get("inputs", ())), list(signature.get("outputs", ()))
    tensors = [*inputs, *outputs]
    known = code != "tensorrt" and bool(inputs) and all(tensor["dtype"] in TYPES for tensor in tensors)
    batches = known and all(tensor["shape"] and not isinstance(tensor["shape"][0], int) for tensor in tensors)
    lines = [f"name: {json.dumps(model)}", f'platform: "{PLATFORMS[code]}"']
    if known:
        lines.append(f"max_batch_size: {MAX_BATCH if batches else 0}")
        lines += _tensors("input", inputs, batches) + _tensors("output", outputs, batches)
    if batches:
        lines.append("dynamic_batching { }")
    lines.append(f"instance_group [ {{ count: 1 kind: {'KIND_GPU' if gpus else 'KIND_CPU'} }} ]")
    return "\n".join(lines) + "\n"


def _tensors(role: str, tensors: Sequence[Mapping[str, Any]], batches: bool) -> list[str]:
    items = ",\n".join(f"  {{ {_tensor(tensor, batches)} }}" for tensor in tensors)
    return [f"{role} [", items, "]"]


def _tensor(tensor: Mapping[str, Any], batches: bool) -> str:
    shape = tensor["shape"][1:] if batches else tensor["shape"]
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    # A dimension list may not be empty: one number per row is written as [ 1 ] and reshaped to nothing.
    dims = f"dims: {sizes or [1]}" + ("" if sizes else " reshape: { shape: [ ] }")
    return f"name: {json.dumps(tensor['name'])} data_type: {TYPES[tensor['dtype']]} {dims}"
