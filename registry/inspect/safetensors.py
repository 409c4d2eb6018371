"""safetensors: weights by name, described by a JSON header.

Layout: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from registry.inspect.bounded import Reader

_HEADER = 100_000_000
_WEIGHTS, _SHOWN = 1 << 60, 50
_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip


def describe_safetensors(path: Path) -> dict[str, Any]:
    """Tensors, parameters and types; `Invalid` unless the header describes exactly the bytes after it."""
    with Reader(path, "a safetensors file") as reader:
        length = reader.number("Q")
        if length > reader.size - 8:
            raise reader.damaged("its header claims more bytes than the file has: it is truncated")
        try:
            header = json.loads(reader.take(length, most=_HEADER))
            metadata = header.pop("__metadata__", {})
            spans = sorted((*map(int, item["data_offsets"]), name) for name, item in header.items())
            if any(size < 0 for item in header.values() for size in map(int, item["shape"])):
                raise ValueError("a negative size")
            types = Counter(str(item["dtype"])[:20] for item in header.values())
            sizes = {name: _size(item) for name, item in header.items()}
            weights = sum(math.prod(map(int, item["shape"])) for item in header.values())
            told = {str(k)[:200]: str(v)[:1000] for k, v in list(metadata.items())[:50]}
            if weights >= _WEIGHTS:
                raise ValueError("more parameters than any model has")
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise reader.damaged("its header cannot be read") from error
        place = 0
        for begin, end, name in spans:
            if begin != place or end < begin or sizes[name] not in {None, end - begin}:
                raise reader.damaged(f"the place of tensor {ascii(name[:60])} does not fit")
            place = end
        if place != reader.size - 8 - length:
            raise reader.damaged(f"its tensors need {place} bytes and it has {reader.size - 8 - length}")
    return {
        "tensors": len(spans),
        "parameters": weights,
        "tensor_types": dict(types.most_common(_SHOWN)),
        "metadata": told,
    }


def _size(item: Any) -> int | None:
    width = _BYTES.get(item["dtype"])
    return None if width is None else width * math.prod(map(int, item["shape"]))
