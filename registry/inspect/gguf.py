"""GGUF: the header of a llama.cpp model, with its quantisation.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from pathlib import Path
from typing import Any

from registry.inspect.bounded import Reader

# Kinds of metadata values: struct format by type number; 8 is text, 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
# Tensor types: name, values per block, bytes per block.
_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
_MOST = 200_000
_SHOWN = 50
_ALIGNMENT, _WEIGHTS = 1 << 20, 1 << 60


def describe_gguf(path: Path) -> dict[str, Any]:
    """Version, architecture, tensors, parameters and quantisation; `Invalid` for a damaged file."""
    with Reader(path, "a GGUF model") as reader:
        reader.take(4)
        version = reader.number("I")
        if version not in {2, 3}:
            raise reader.damaged(f"its version is {version}; 2 and 3 are known")
        tensors, entries = reader.number("Q"), reader.number("Q")
        if tensors > _MOST or entries > _MOST:
            raise reader.damaged(f"it claims {tensors} tensors and {entries} entries of metadata")
        metadata = _metadata(reader, entries)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= _ALIGNMENT:
            raise reader.damaged("its alignment is no number of bytes")
        weights, types = _tensors(reader, tensors, alignment)
        if weights >= _WEIGHTS:
            raise reader.damaged(f"it claims {float(weights):.1e} parameters")
    most = types.most_common(_SHOWN)
    shown = [(key, value) for key, value in metadata.items() if not isinstance(value, list)]
    return {
        "gguf_version": version,
        "architecture": str(metadata.get("general.architecture", ""))[:200],
        "name": str(metadata.get("general.name", ""))[:200],
        "tensors": tensors,
        "parameters": weights,
        "quantisation": most[0][0] if most else "",
        "tensor_types": dict(most),
        "metadata": {key[:200]: str(value)[:1000] for key, value in shown[:_SHOWN]},
    }


def _metadata(reader: Reader, count: int) -> dict[str, Any]:
    found = {}
    for _ in range(count):
        key = _text(reader)
        found[key] = _value(reader, reader.number("I"))
    return found


def _value(reader: Reader, kind: int) -> Any:
    if kind in _SCALARS:
        return reader.number(_SCALARS[kind])
    if kind == _TEXT:
        return _text(reader)
    if kind != _ARRAY:
        raise reader.damaged(f"it holds a value of the unknown type {kind}")
    inner, length = reader.number("I"), reader.number("Q")
    if inner in _SCALARS:
        reader.skip(length * struct.calcsize(_SCALARS[inner]))
    elif inner == _TEXT and length <= reader.size // 8:
        for _ in range(length):
            reader.skip(reader.number("Q"))
    else:
        raise reader.damaged("it holds a list that is longer than the file, or a list of lists")
    return []


def _tensors(reader: Reader, count: int, alignment: int) -> tuple[int, Counter[str]]:
    """All parameters, and how many tensors have which type; the last tensor must end inside the file."""
    types, weights, end = Counter[str](), 0, 0
    for _ in range(count):
        _text(reader)
        dimensions = [reader.number("Q") for _ in range(min(reader.number("I"), 8))]
        kind, offset = reader.number("I"), reader.number("Q")
        name, per_block, block = _TYPES.get(kind, (f"type {kind}", 1, 0))
        values = math.prod(dimensions)
        types[name] += 1
        weights += values
        end = max(end, offset + values // per_block * block)
    start = -(-reader.position // alignment) * alignment
    if count and start + end > reader.size:
        raise reader.damaged(f"its tensors need {start + end} bytes, it has {reader.size}: it is truncated")
    return weights, types


def _text(reader: Reader) -> str:
    return reader.take(reader.number("Q")).decode("utf-8", "replace").replace("\x00", "")
