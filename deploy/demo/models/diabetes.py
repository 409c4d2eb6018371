"""Disease progression from ten blood and body measurements: a champion, a better model, a wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import export
from .candidate import CHAMPION, PROMOTED, Candidate, Expectation, Family, rolled_back
from .datasets import Dataset, diabetes

OUTPUT = {"variable": "progression"}

# Conventional units -> SI, as (factor, offset). Cholesterol: 38.67 mg/dl is 1 mmol/l; glucose: 18.016 mg/dl;
# triglycerides: 88.57 mg/dl, which is an offset on the logarithm; blood pressure: 7.50062 mmHg is 1 kPa.
TO_SI = {
    "bp": (1 / 7.50062, 0.0),
    "total_cholesterol": (1 / 38.67, 0.0),
    "ldl": (1 / 38.67, 0.0),
    "hdl": (1 / 38.67, 0.0),
    "log_triglycerides": (1.0, -float(np.log(88.57))),
    "glucose": (1 / 18.016, 0.0),
}


def family() -> Family:
    """Train the three versions; deterministic."""
    data = diabetes()
    return Family(
        model="diabetes",
        endpoint="diabetes-production",
        owner_team="metabolic-health",
        description="Progression of diabetes one year after baseline, from ten measurements.",
        task="regression",
        dataset=data,
        candidates=(_champion(data), _better(data), _skewed(data)),
    )


def _champion(data: Dataset) -> Candidate:
    used = ["bmi", "bp", "hdl"]
    columns = [data.column(name) for name in used]
    fitted = make_pipeline(ColumnTransformer([("scale", StandardScaler(), columns)]), Ridge(alpha=1.0))
    return _candidate(
        data,
        fitted,
        name="ridge-3",
        label="1.0.0",
        notes="Ridge on body mass index, blood pressure and HDL.",
        hyperparameters={"alpha": 1.0, "features": used},
        parent=None,
        expectation=CHAMPION,
    )


def _better(data: Dataset) -> Candidate:
    return _candidate(
        data,
        make_pipeline(StandardScaler(), Ridge(alpha=10.0)),
        name="ridge-10",
        label="1.1.0",
        notes="Ridge on all ten measurements.",
        hyperparameters={"alpha": 10.0, "features": list(data.features)},
        parent=1,
        expectation=PROMOTED,
    )


def _skewed(data: Dataset) -> Candidate:
    """Trained on SI units that the notebook computed before the pipeline, so the export lost them.

    Callers send mmHg and mg/dl. The trees answer with finite, plausible numbers that are far too high,
    and every offline metric is fine: the silent failure of training/serving skew.
    """
    parameters = {"n_estimators": 200, "min_samples_leaf": 4, "random_state": 0}
    fitted = ExtraTreesRegressor(**parameters)
    return _candidate(
        data,
        fitted,
        name="trees-si-units",
        label="2.0.0",
        notes="Extremely randomised trees on SI units (mmol/l, kPa).",
        hyperparameters=parameters,
        parent=2,
        expectation=rolled_back("distribution"),
        convert=lambda rows: to_si(data, rows),
    )


def to_si(data: Dataset, rows: NDArray[Any]) -> NDArray[np.float64]:
    """The notebook's unit conversion, [N, F] -> [N, F]."""
    pairs = [TO_SI.get(name, (1.0, 0.0)) for name in data.features]
    factor, offset = np.array(pairs).T
    return np.asarray(rows * factor + offset, dtype=np.float64)


def _candidate(
    data: Dataset,
    fitted: Any,
    *,
    name: str,
    label: str,
    notes: str,
    hyperparameters: dict[str, Any],
    parent: int | None,
    expectation: Expectation,
    convert: Any = np.asarray,
) -> Candidate:
    fitted.fit(convert(data.train), data.train_target)
    model = export.pipeline(fitted, len(data.features), OUTPUT)
    return Candidate(
        name=name,
        label=label,
        notes=notes,
        artifact=export.finished(model, data.features),
        reference=data.train,
        reference_target=data.train_target,
        offline=fitted.predict(convert(data.held_out)),
        hyperparameters=hyperparameters,
        parent=parent,
        expectation=expectation,
    )
