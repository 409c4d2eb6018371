"""The header of an array in NumPy's file format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib import format as npy

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
_READERS: dict[tuple[int, int], Callable[[Any], Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_header(stream: Any) -> Header:
    """Shape, whether columns come first, and type of the array whose content comes next in the stream.

    Raises ValueError for objects, which only pickle reads, and for a format that is not known.
    """
    version = npy.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"an array of format {version} is not read; save it as plain numbers")
    shape, fortran, dtype = _READERS[version](stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    return tuple(shape), bool(fortran), dtype
