"""An inference request: the JSON head, and tensors in it or behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from deploy.serving.datatypes import Array
from deploy.serving.errors import Malformed
from deploy.serving.signature import Signature

from .head import Head, Layout
from .response import Wanted

REMEMBERED_HEADS, SHORT_HEAD = 256, 1024
"""How many heads are remembered, and of how many bytes each at most."""
_NOTHING: Array = np.empty(0)


@dataclass(slots=True)  # frozen ones take several times as long to make
class InferRequest:
    """Tensors in signature order."""

    id: str | None
    inputs: list[Array]
    rows: int
    outputs: Wanted
    parameters: Mapping[str, Any] = field(default_factory=dict)


class InferReader:
    """Reads requests for one model.

    A client of binary tensors sends the same JSON head over and over, so what short heads say is
    remembered; tensors are not.
    """

    def __init__(self, signature: Signature, *, allow_nan: bool = False) -> None:
        self._allow_nan = allow_nan
        self._head = Head(signature)
        self._remembered = lru_cache(REMEMBERED_HEADS)(self._head.parse)

    def parse(self, body: bytes, head_length: int | None) -> InferRequest:
        """A body; `head_length` is the value of Inference-Header-Content-Length, None without it.

        Raises:
            Malformed, Unprocessable: with the path of what is wrong.
        """
        if head_length is None:
            return self._fill(self._head.parse(body), memoryview(b""))
        if not 0 <= head_length <= len(body):
            raise Malformed(f"Inference-Header-Content-Length is {head_length}, the body has {len(body)}")
        head = body[:head_length]
        layout = self._remembered(head) if head_length <= SHORT_HEAD else self._head.parse(head)
        return self._fill(layout, memoryview(body)[head_length:])

    def read(self, document: Mapping[str, Any], tail: memoryview) -> InferRequest:
        """The request that a JSON head (or what is like one) describes; `tail` has its binary tensors.

        Raises:
            Malformed, Unprocessable: with the path of what is wrong.
        """
        return self._fill(self._head.layout(document), tail)

    def _fill(self, layout: Layout, tail: memoryview) -> InferRequest:
        arrays: list[Array] = [_NOTHING] * len(layout.tensors)
        for tensor in layout.tensors:
            if tensor.size is None:
                arrays[tensor.position] = tensor.from_json(self._allow_nan)
            else:
                arrays[tensor.position] = tensor.from_bytes(tail, self._allow_nan)
                tail = tail[tensor.size :]
        if len(tail):
            raise Malformed(f"{len(tail)} bytes behind the last binary tensor belong to no input")
        return InferRequest(layout.id, arrays, layout.rows, layout.outputs, layout.parameters)
