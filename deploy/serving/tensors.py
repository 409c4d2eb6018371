"""JSON values to tensors, strictly: nothing is coerced, and what does not fit is named by its path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .datatypes import Array, DataType, from_bfloat16, to_bfloat16
from .errors import Unprocessable
from .signature import TensorSpec


def quiet_overflow() -> None:
    """Let values that overflow become infinite without a warning: they are refused as such here.

    Set once per process (or thread, or context) because doing it per call costs as much as a check.
    """
    np.seterr(over="ignore", invalid="ignore")


Locate = Callable[[int], str]
"""From the position of a value in the flat list to its path in the request."""


def flatten(values: list[Any], path: str) -> tuple[list[Any], tuple[int, ...]]:
    """Row-major flat list and shape of nested lists.

    Raises:
        Unprocessable: lists of different lengths, or a list beside a value.
    """
    shape = [len(values)]
    level = values
    while level and type(level[0]) is list:
        if set(map(type, level)) != {list}:
            at = next(index for index, item in enumerate(level) if type(item) is not list)
            raise Unprocessable("must be a list, like its neighbours", field=indexed(path, at, shape))
        lengths = set(map(len, level))
        if len(lengths) != 1:
            expected = len(level[0])
            at = next(index for index, item in enumerate(level) if len(item) != expected)
            message = f"has {len(level[at])} values, its neighbours have {expected}"
            raise Unprocessable(message, field=indexed(path, at, shape))
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, tuple(shape)


def indexed(path: str, position: int, shape: Sequence[int]) -> str:
    """`path[i][j]…` of the element at a row-major position."""
    marks = []
    for size in reversed(shape):
        marks.append(f"[{position % size}]" if size else "[0]")
        position = position // size if size else 0
    return path + "".join(reversed(marks))


def build(
    values: Sequence[Any],
    shape: Sequence[int],
    datatype: DataType,
    locate: Locate,
    *,
    allow_nan: bool = False,
) -> Array:
    """The tensor of flat `values`; with `allow_nan`, null is NaN and NaN and infinity pass.

    Raises:
        Unprocessable: a value of the wrong type, out of the type's range, or NaN.
    """
    if not datatype.accepts.issuperset(map(type, values)):
        values = _nulls_as_nan(values, datatype, locate, allow_nan)
    dtype = np.dtype(np.float32) if datatype.oip == "BF16" else datatype.dtype
    try:
        array: Array = np.array(values, dtype=dtype)
    except OverflowError:
        raise _out_of_range(values, datatype, locate) from None
    numbers = array
    if datatype.oip == "BF16":
        array = to_bfloat16(array)
        numbers = from_bfloat16(array)  # rounding may make the largest numbers infinite
    if dtype.kind == "f" and not allow_nan:
        check_finite(numbers, locate)
    return array.reshape(shape)


def check_finite(array: Array, locate: Locate) -> None:
    """Raise Unprocessable for the first NaN or infinity of a float tensor."""
    flat = array.reshape(-1)
    if surely_finite(flat):
        return
    finite = np.isfinite(flat)
    if not finite.all():
        at = int(np.argmin(finite))
        what = "is NaN" if np.isnan(flat[at]) else "is infinite, or too large for the model's type"
        raise Unprocessable(what, field=locate(at))


def surely_finite(flat: Array) -> bool:
    """A dot product is finite only if all values are, and costs a third of looking at each of them.

    False proves nothing: large values overflow it, and for float16 ("e") nothing is tried.
    """
    return flat.dtype.char != "e" and math.isfinite(flat.dot(flat))


def check_shape(shape: Sequence[int], spec: TensorSpec, path: str) -> None:
    """Raise Unprocessable unless `shape`, batch axis included, is one the model takes."""
    expected = spec.shape
    if len(shape) == len(expected):
        for size, wanted in zip(shape, expected, strict=True):
            if size != wanted and wanted != -1:
                break
        else:
            return
    raise Unprocessable(
        f"has the shape {shape_text(shape)}, the model takes {shape_text(expected)}", field=path
    )


def shape_text(shape: Sequence[int]) -> str:
    """`[?, 30]`: a free dimension is a question mark."""
    return "[" + ", ".join("?" if size == -1 else str(size) for size in shape) + "]"


def _nulls_as_nan(
    values: Sequence[Any], datatype: DataType, locate: Locate, allow_nan: bool
) -> Sequence[Any]:
    nullable = allow_nan and datatype.is_float
    for index, value in enumerate(values):
        if value is None and nullable:
            continue
        if type(value) not in datatype.accepts:
            raise Unprocessable(f"must be {datatype.expected}, not {json_name(value)}", field=locate(index))
    return [math.nan if value is None else value for value in values]


def _out_of_range(values: Sequence[Any], datatype: DataType, locate: Locate) -> Unprocessable:
    limits = np.iinfo(datatype.dtype)
    at = next(index for index, value in enumerate(values) if not limits.min <= value <= limits.max)
    return Unprocessable(f"must lie in {limits.min} to {limits.max} ({datatype.oip})", field=locate(at))


def json_name(value: object) -> str:
    """What JSON calls a value, for messages; never the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "an integer", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")
