"""What the reference labels say of a model's answers."""

import numpy as np
import pytest

from registry.domain.signature import Signature, Tensor
from registry.inspect.baseline import measured
from registry.inspect.reference import Reference
from registry.inspect.runtime import Answers

Y = np.array([0, 1, 1, 0])
P = np.array([0.1, 0.9, 0.4, 0.3], dtype=np.float32)
OF_P = {"accuracy": 0.75, "auc": 1.0, "brier": pytest.approx((0.01 + 0.01 + 0.36 + 0.09) / 4)}


def found(labels, **outputs):
    signature = Signature((), tuple(Tensor(name, "float32", ("N",)) for name in outputs))
    rows = np.arange(len(labels))
    return measured(
        signature,
        Reference({}, labels, len(labels), len(labels)),
        Answers(dict(outputs), rows, [], 0, None, 0.0),
    )


@pytest.mark.parametrize("answers", [P, P[:, None], np.c_[1 - P, P]])
def test_probabilities_of_two_classes(answers):
    assert found(Y, p=answers) == OF_P
    assert found(Y.astype(bool), p=answers) == OF_P


def test_classes_and_the_probabilities_beside_them():
    said = np.array([0, 1, 1, 1])
    assert found(Y, label=said) == {"accuracy": 0.75}
    assert found(np.array(["a", "b"]), label=np.array(["a", "a"], dtype=object)) == {"accuracy": 0.5}
    assert found(Y, label=said, p=np.c_[1 - P, P]) == OF_P


def test_probabilities_of_three_classes():
    answers = np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], dtype=np.float32)
    assert found(np.array([0, 2, 2]), p=answers) == {"accuracy": pytest.approx(2 / 3)}


def test_numbers_and_what_is_no_probability():
    assert set(found(np.array([1.0, 2.0]), y=np.array([1.5, 2.0]))) == {"rmse", "mae", "r2"}
    assert set(found(Y, y=P * 2)) == {"rmse", "mae", "r2"}
    assert found(Y, y=np.array([0.0, 1, np.nan, 0])) == {}
    assert found(Y, y=np.c_[P, P, P]) == {}
    assert found(np.ones(4, dtype=int), p=P).keys() == {"accuracy", "brier"}
