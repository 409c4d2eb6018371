"""What happens to the points of a metric before they are compared."""

from __future__ import annotations

import numpy as np

from monitoring.domain.arrays import FloatArray


def cleaned(values: FloatArray, *, nan_as_zero: bool = False, drop_outliers: bool = False) -> FloatArray:
    """Without NaN (or with 0 for it), and, if asked, without values outside the outlier fences."""
    kept: FloatArray = np.nan_to_num(values, nan=0.0) if nan_as_zero else values[~np.isnan(values)]
    return without_outliers(kept) if drop_outliers else kept


def without_outliers(values: FloatArray) -> FloatArray:
    """Values within min(p01, Q1 − 3·IQR) and max(p99, Q3 + 3·IQR), percentiles of type R-7."""
    if not len(values):
        return values
    p01, q1, q3, p99 = np.percentile(values, [1, 25, 75, 99])
    low, high = min(p01, q1 - 3 * (q3 - q1)), max(p99, q3 + 3 * (q3 - q1))
    kept: FloatArray = values[(values >= low) & (values <= high)]
    return kept
