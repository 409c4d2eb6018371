"""Answers to inputs that were seen before, for models that are asked the same things again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from .datatypes import Array
from .metrics import Metrics

MOST_BYTES = 64 * 1024
"""Of one answer; a larger one is computed each time, so that the number of entries bounds the memory."""


class ResponseCache:
    """The least recently used of `entries` answers goes first; errors are never kept."""

    def __init__(self, entries: int, metrics: Metrics) -> None:
        self._entries = entries
        self._answers: OrderedDict[bytes, tuple[Array, ...]] = OrderedDict()
        self._hits, self._misses = metrics.cache_counters()

    def key(self, inputs: Sequence[Array]) -> bytes:
        """A digest of the tensors as the model gets them, so spelling and protocol do not matter."""
        digest = blake2b(digest_size=32)
        for array in inputs:
            # The shape separates tensors: no other split of the bytes gives the same digest.
            digest.update(f"{array.dtype.str}{array.shape};".encode())
            digest.update(repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes())
        return digest.digest()

    def get(self, key: bytes) -> Sequence[Array] | None:
        """The outputs of an input seen before, counted as a hit, or None and a miss."""
        outputs = self._answers.get(key)
        if outputs is None:
            self._misses.value += 1
            return None
        self._answers.move_to_end(key)
        self._hits.value += 1
        return outputs

    def put(self, key: bytes, outputs: Sequence[Array]) -> None:
        """Keep copies: outputs are views into a batch that would be kept alive whole."""
        if sum(map(_size, outputs)) > MOST_BYTES:
            return
        self._answers[key] = tuple(array.copy() for array in outputs)
        if len(self._answers) > self._entries:
            self._answers.popitem(last=False)


def _size(array: Array) -> int:
    """Bytes of an answer; a tensor of strings has only pointers in itself."""
    return array.nbytes + (sum(map(len, array.reshape(-1))) if array.dtype.kind == "O" else 0)
