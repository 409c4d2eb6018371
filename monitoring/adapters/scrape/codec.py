"""A page's values as bytes: float64, bytes of equal significance side by side, deflated.

Counts are small whole numbers, so most of their bytes are zero; put together they deflate to a fraction.
"""

from __future__ import annotations

import zlib

import numpy as np

from monitoring.domain.arrays import FloatArray


def encode(values: FloatArray) -> bytes:
    """`values` of shape (n,) as bytes; `decode` gives back the same bits."""
    shuffled = values.astype("<f8").view(np.uint8).reshape(-1, 8).T
    return zlib.compress(shuffled.tobytes(), 1)


def decode(data: bytes) -> FloatArray:
    shuffled = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(8, -1)
    values: FloatArray = np.ascontiguousarray(shuffled.T).view("<f8").reshape(-1).astype(np.float64)
    return values
