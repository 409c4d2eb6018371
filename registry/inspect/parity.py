"""Did the export change the answers? The model's outputs beside those that its training framework gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.inspect.baseline import Finding, finding
from registry.inspect.reference import Reference
from registry.inspect.runtime import Answers

# |got - expected| <= atol + rtol * |expected|, by the type the model answers in; anything else must be equal.
# float32: what PyTorch's exporter verifies with; the others follow the width of the type.
TOLERANCES: dict[str, tuple[float, float]] = {
    "float16": (1e-2, 1e-3),
    "bfloat16": (1e-2, 1e-2),
    "float32": (1e-3, 1e-5),
    "float64": (1e-6, 1e-8),
}
_EXACT = (0.0, 0.0)


def parity_of(reference: Reference, answers: Answers) -> dict[str, Any] | None:
    """The comparison per output, `passed` if every row of every one agrees; None without expected outputs."""
    if not reference.expected:
        return None
    outputs = {
        name: _compared(expected, answers.outputs.get(name), answers.rows, reference.rows)
        for name, expected in reference.expected.items()
    }
    return {"passed": all(one["differing"] == 0 for one in outputs.values()), "outputs": outputs}


def parity_findings(parity: Mapping[str, Any] | None) -> list[Finding]:
    """The verdict in words."""
    if parity is None:
        return []
    if parity["passed"]:
        rows = max(one["rows"] for one in parity["outputs"].values())
        told = f"The model gives the answers that were shipped with it, on all {rows} reference rows."
        return [finding("parity_passed", told, "info")]
    told = "; ".join(
        f"{name!r} differs on {one['differing']} of {one['rows']} rows, by up to {one['max_abs']:.3g}"
        for name, one in parity["outputs"].items()
        if one["differing"]
    )
    return [finding("parity_failed", f"The model's answers are not those shipped with it: {told}.")]


def _compared(
    expected: NDArray[Any], got: NDArray[Any] | None, answered: NDArray[np.int64], rows: int
) -> dict[str, Any]:
    """Rows without an answer count as differing."""
    if got is None or got.dtype.kind == "O" or expected.dtype.kind in "OSU":
        same = 0 if got is None else _same_texts(expected[answered], got)
        return _line(rows, rows - same, 0.0, _EXACT)
    rtol, atol = TOLERANCES.get(str(got.dtype), _EXACT)
    wanted = expected[answered].reshape(len(answered), -1).astype(np.float64)
    said = got.reshape(len(answered), -1).astype(np.float64)
    if wanted.shape != said.shape:
        return _line(rows, rows, 0.0, (rtol, atol))
    close = np.isclose(said, wanted, rtol=rtol, atol=atol, equal_nan=True).all(axis=1)
    difference = np.abs(said - wanted)
    finite = difference[np.isfinite(difference)]
    return _line(rows, rows - int(close.sum()), float(finite.max()) if finite.size else 0.0, (rtol, atol))


def _same_texts(expected: NDArray[Any], got: NDArray[Any]) -> int:
    """In how many rows both read the same."""
    rows = len(got)
    wanted, said = expected.astype(str).reshape(rows, -1), got.astype(str).reshape(rows, -1)
    return sum(bool(np.array_equal(a, b)) for a, b in zip(wanted, said, strict=True))


def _line(rows: int, differing: int, max_abs: float, tolerance: tuple[float, float]) -> dict[str, Any]:
    rtol, atol = tolerance
    return {"rows": rows, "differing": differing, "max_abs": max_abs, "rtol": rtol, "atol": atol}
