import numpy as np
import pytest
from sklearn import metrics

from monitoring.domain.concept import Answer, assess


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ({"probability": [0.3, 0.7]}, Answer("1", 0.7, None)),
        ({"label": [1], "probabilities": [0.2, 0.8]}, Answer("1", 0.8, None)),
        ({"label": ["cat"], "probabilities": [0.1, 0.2, 0.7]}, Answer("cat", None, None)),
        ({"scores": [0.1, 0.7, 0.2]}, Answer("1", None, None)),
        ({"score": [0.4]}, Answer(None, 0.4, 0.4)),
        ({"price": [120.5]}, Answer(None, None, 120.5)),
        ({"variable": ["yes"]}, Answer("yes", None, None)),
        ({"price": [1.5, 2.5]}, None),
        ({"price": [None]}, None),
        ({}, None),
    ],
)
def test_what_a_prediction_said_is_read_from_its_outputs(outputs, answer):
    assert Answer.of(outputs) == answer


def test_a_binary_classifiers_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    true = rng.random(2000) < 0.3
    said = np.clip(0.5 * true + 0.6 * rng.random(2000), 0, 1).round(2)
    found = assess([(Answer(None, float(p), float(p)), float(y)) for p, y in zip(said, true, strict=True)])
    assert (found.kind, found.n) == ("binary", 2000)
    guess = said >= 0.5
    expected = {
        "accuracy": metrics.accuracy_score(true, guess),
        "precision": metrics.precision_score(true, guess),
        "recall": metrics.recall_score(true, guess),
        "f1": metrics.f1_score(true, guess),
        "auc": metrics.roc_auc_score(true, said),
        "brier": metrics.brier_score_loss(true, said),
    }
    assert {key: found.metrics[key] for key in expected} == pytest.approx(expected, abs=1e-12)


def test_calibration_error_is_the_gap_between_said_and_true_shares():
    pairs = [(Answer(None, 0.75, 0.75), float(index < 50)) for index in range(100)]
    assert assess(pairs).metrics["ece"] == pytest.approx(0.25)
    pairs = [(Answer(None, 0.75, 0.75), float(index < 75)) for index in range(100)]
    assert assess(pairs).metrics["ece"] == pytest.approx(0.0)


def test_a_classifiers_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    true = rng.choice(["cat", "dog", "emu"], 900)
    said = np.where(rng.random(900) < 0.7, true, rng.choice(["cat", "dog", "emu"], 900))
    found = assess([(Answer(str(a)), str(b)) for a, b in zip(said, true, strict=True)])
    assert found.kind == "classes"
    assert found.metrics == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(true, said),
            "precision": metrics.precision_score(true, said, average="macro"),
            "recall": metrics.recall_score(true, said, average="macro"),
        },
        abs=1e-12,
    )


def test_numeric_classes_meet_numeric_labels():
    pairs = [(Answer("2"), 2.0), (Answer("1"), 2.0)]
    assert assess(pairs).metrics["accuracy"] == 0.5


def test_a_regressors_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    true = rng.normal(100, 20, 500)
    said = true + rng.normal(1, 5, 500)
    pairs = [(Answer(None, None, float(a)), float(b)) for a, b in zip(said, true, strict=True)]
    found = assess(pairs)
    assert found.kind == "numbers"
    assert found.metrics == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(true, said),
            "rmse": metrics.root_mean_squared_error(true, said),
            "bias": float((said - true).mean()),
            "r2": metrics.r2_score(true, said),
        },
        abs=1e-9,
    )


def test_what_cannot_be_said_is_left_out():
    assert assess([]) is None
    one_class = assess([(Answer(None, 0.2, 0.2), 0.0)] * 5)
    assert "auc" not in one_class.metrics
    assert "precision" not in one_class.metrics
    assert assess([(Answer(None, None, 3.0), "cat")]) is None
