"""The array type of this app: one-dimensional unless a docstring says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


def floats(values: Iterable[Any] | FloatArray) -> FloatArray:
    """A float64 copy of `values` that cannot be written to."""
    array = np.array(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    array.setflags(write=False)
    return array
