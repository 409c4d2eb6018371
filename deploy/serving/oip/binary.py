"""Tensors as raw bytes, row-major and little-endian; BYTES elements behind a 4-byte length each."""

from __future__ import annotations

import struct
import sys

import numpy as np

from deploy.serving.datatypes import Array, DataType
from deploy.serving.errors import Unprocessable

_LENGTH = struct.Struct("<I")
_SWAPPED = sys.byteorder == "big"


def decode(content: memoryview, datatype: DataType, count: int, path: str) -> Array:
    """A flat tensor of `count` elements; numeric ones share memory with `content` if they lie aligned in it.

    Raises:
        Unprocessable: the bytes are not `count` elements of the type.
    """
    if datatype.oip == "BYTES":
        return _decode_strings(content, count, path)
    wanted = count * datatype.dtype.itemsize
    if len(content) != wanted:
        message = f"has {len(content)} bytes of data, its shape and {datatype.oip} need {wanted}"
        raise Unprocessable(message, field=path)
    if datatype.oip == "BOOL":
        return np.frombuffer(content, dtype=np.uint8).astype(np.bool_)
    flat = np.frombuffer(content, dtype=datatype.dtype)
    if _SWAPPED:
        return flat.byteswap()
    # The JSON head before it may have any length; reading unaligned numbers costs more than moving them once.
    return flat if flat.flags.aligned else flat.copy()


def _decode_strings(content: memoryview, count: int, path: str) -> Array:
    strings = []
    offset = 0
    while offset < len(content):
        start = offset + _LENGTH.size
        if start > len(content):
            raise Unprocessable("ends inside the length of a string", field=path)
        (length,) = _LENGTH.unpack_from(content, offset)
        offset = start + length
        if offset > len(content):
            raise Unprocessable("ends inside a string", field=path)
        try:
            strings.append(str(content[start:offset], "utf-8"))
        except UnicodeDecodeError:
            raise Unprocessable("is not UTF-8", field=f"{path}[{len(strings)}]") from None
    if len(strings) != count:
        raise Unprocessable(f"holds {len(strings)} strings, its shape needs {count}", field=path)
    array = np.empty(count, dtype=np.object_)
    array[:] = strings
    return array


def encode(array: Array, datatype: DataType) -> bytes:
    """The bytes of a tensor."""
    if datatype.oip == "BYTES":
        parts = []
        for value in array.reshape(-1).tolist():
            text = value.encode() if isinstance(value, str) else bytes(value)
            parts += [_LENGTH.pack(len(text)), text]
        return b"".join(parts)
    return (array.byteswap() if _SWAPPED else array).tobytes()
