"""A scorecard: points per bin for some features, a linear part for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from . import export
from .datasets import Floats

# The bin is the number of bin widths above the training minimum. `Max` keeps values below the training
# range in the first bin; nothing keeps values above it in the last one, so GatherElements can run out
# of the table. This is the fault that the demo releases.
SCORECARD = """
scorecard (float[N, F] features) => (float[N, 2] probabilities)
{
    binned = Gather <axis: int = 1> (features, columns)
    above_lowest = Sub (binned, lowest)
    widths = Div (above_lowest, width)
    whole_widths = Floor (widths)
    not_below = Max (whole_widths, zero)
    bin = Cast <to: int = 7> (not_below)
    points = GatherElements <axis: int = 0> (table, bin)
    score = ReduceSum <keepdims: int = 1> (points, one)
    linear = MatMul (features, weights)
    shifted = Add (linear, intercept)
    logit = Add (shifted, score)
    positive = Sigmoid (logit)
    negative = Sub (unit, positive)
    probabilities = Concat <axis: int = 1> (negative, positive)
}
"""


@dataclass
class Scorecard:
    """`bins` equal-width bins for the columns in `binned`; one regularised logistic regression on top."""

    bins: int
    binned: list[int]
    regularisation: float
    fitted: Pipeline = field(init=False)

    def fit(self, rows: Floats, target: NDArray[np.float64]) -> Scorecard:
        """Fit on rows [N, F] with 0/1 targets [N]."""
        discretizer = KBinsDiscretizer(self.bins, encode="onehot-dense", strategy="uniform")
        every = list(range(rows.shape[1]))
        parts = ColumnTransformer([("linear", StandardScaler(), every), ("points", discretizer, self.binned)])
        model = LogisticRegression(C=self.regularisation, max_iter=1000)
        self.fitted = make_pipeline(parts, model).fit(rows, target)
        return self

    def predict(self, rows: Floats) -> NDArray[np.float64]:
        """P(1) per row, [N], as the training code computes it."""
        return np.asarray(self.fitted.predict_proba(rows)[:, 1], dtype=np.float64)

    def to_onnx(self) -> onnx.ModelProto:
        """The scorecard as one hand-written graph."""
        return export.chain(
            export.graph(SCORECARD, self._constants(), {"F": self.fitted.n_features_in_}),
            export.named_classes(),
            {"probabilities": "class_probabilities"},
        )

    def _constants(self) -> dict[str, NDArray[Any]]:
        parts, model = self.fitted[0], self.fitted[-1]
        scaler, discretizer = parts.named_transformers_["linear"], parts.named_transformers_["points"]
        linear, points = np.split(model.coef_[0], [len(scaler.scale_)])
        weights = linear / scaler.scale_
        edges = np.array(list(discretizer.bin_edges_))
        # A hair wider, so that the training maximum itself falls into the last bin.
        width = (edges[:, -1] - edges[:, 0]) / self.bins * (1 + 1e-5)
        return {
            "columns": np.array(self.binned),
            "lowest": edges[:, 0].astype(np.float32),
            "width": width.astype(np.float32),
            "zero": np.array([0], np.float32),
            "table": points.reshape(len(self.binned), self.bins).T.astype(np.float32),
            "one": np.array([1]),
            "weights": weights[:, None].astype(np.float32),
            "intercept": (model.intercept_ - scaler.mean_ @ weights).astype(np.float32),
            "unit": np.array([1], np.float32),
        }
