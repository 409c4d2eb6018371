"""The three vocabularies of one tensor type: ONNX Runtime's, the Open Inference Protocol's, numpy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class DataType:
    """One element type.

    `oip` is its name on the wire, `onnx` the one in ONNX Runtime's `tensor(…)`, `dtype` how it lies in
    memory here, `accepts` the Python types that JSON may bring for it, and `expected` says so in words.
    """

    oip: str
    onnx: str
    dtype: np.dtype[Any]
    accepts: frozenset[type]
    expected: str
    is_float: bool = False


_NUMBER = (frozenset({int, float}), "a number", True)
_INTEGER = (frozenset({int}), "an integer")
# numpy has no bfloat16; its bits travel as 16-bit words and ONNX Runtime is told what they mean.
_BFLOAT16 = np.dtype(np.uint16)

TYPES: tuple[DataType, ...] = (
    DataType("BOOL", "bool", np.dtype(np.bool_), frozenset({bool}), "true or false"),
    DataType("UINT8", "uint8", np.dtype(np.uint8), *_INTEGER),
    DataType("UINT16", "uint16", np.dtype(np.uint16), *_INTEGER),
    DataType("UINT32", "uint32", np.dtype(np.uint32), *_INTEGER),
    DataType("UINT64", "uint64", np.dtype(np.uint64), *_INTEGER),
    DataType("INT8", "int8", np.dtype(np.int8), *_INTEGER),
    DataType("INT16", "int16", np.dtype(np.int16), *_INTEGER),
    DataType("INT32", "int32", np.dtype(np.int32), *_INTEGER),
    DataType("INT64", "int64", np.dtype(np.int64), *_INTEGER),
    DataType("FP16", "float16", np.dtype(np.float16), *_NUMBER),
    DataType("FP32", "float", np.dtype(np.float32), *_NUMBER),
    DataType("FP64", "double", np.dtype(np.float64), *_NUMBER),
    DataType("BF16", "bfloat16", _BFLOAT16, *_NUMBER),
    DataType("BYTES", "string", np.dtype(np.object_), frozenset({str}), "a string"),
)

BY_OIP = {item.oip: item for item in TYPES}
BY_ONNX = {f"tensor({item.onnx})": item for item in TYPES}


def to_bfloat16(values: Array) -> Array:
    """The bits of float32 `values` as bfloat16: the upper half, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounding = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + rounding) >> np.uint32(16)).astype(np.uint16)
    # Rounding could carry a NaN over into infinity.
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def from_bfloat16(bits: Array) -> Array:
    """bfloat16 bits as float32, exactly."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
