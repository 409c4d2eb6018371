import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from monitoring.domain.judge import Verdict
from monitoring.domain.kayenta import Direction, Group, Metric, MetricClass, classify, score
from monitoring.domain.kayenta.clean import cleaned, without_outliers
from monitoring.domain.kayenta.mann_whitney import shift, standardised

NAN = float("nan")


def of(*values):
    return np.array(values, dtype=float)


def normal(n, mean=100.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 5, n)


def test_the_published_vector_is_reproduced():
    found = shift(of(*[100] * 7, *[1] * 3), of(*[1] * 10))
    assert found.lower == pytest.approx(6.825022991538781e-05, rel=1e-12)
    assert found.estimate == pytest.approx(98.99992904170193, rel=1e-15)


def test_the_statistic_is_that_of_scipy():
    left, right = normal(30), normal(40, 103, seed=1)
    expected = mannwhitneyu(left, right, use_continuity=True, method="asymptotic").pvalue
    from scipy.stats import norm

    assert 2 * norm.sf(abs(standardised(left, right, 0.0))) == pytest.approx(expected, rel=1e-9)


def test_a_shifted_sample_has_its_shift_inside_the_interval():
    found = shift(normal(60) + 20, normal(60, seed=1))
    assert found.lower < 20 < found.upper
    assert found.estimate == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    ("moved", "direction", "expected"),
    [
        (20, Direction.EITHER, MetricClass.HIGH),
        (20, Direction.INCREASE, MetricClass.HIGH),
        (20, Direction.DECREASE, MetricClass.PASS),
        (-20, Direction.EITHER, MetricClass.LOW),
        (-20, Direction.INCREASE, MetricClass.PASS),
        (0, Direction.EITHER, MetricClass.PASS),
    ],
)
def test_a_change_counts_in_the_direction_that_is_bad(moved, direction, expected):
    assert classify(Metric("m", direction), normal(60) + moved, normal(60, seed=1)) is expected


def test_an_allowed_increase_must_be_exceeded():
    lenient = Metric("m", allowed_increase=1.5)
    assert classify(lenient, normal(60) + 20, normal(60, seed=1)) is MetricClass.PASS


def test_equal_or_constant_data_pass():
    assert classify(Metric("m"), normal(20), normal(20)) is MetricClass.PASS
    assert classify(Metric("m"), of(1, 1, 1), of(1, 1)) is MetricClass.PASS


def test_missing_data_is_told_apart_from_data_that_must_exist():
    assert classify(Metric("m"), of(NAN), normal(20)) is MetricClass.NODATA
    assert classify(Metric("m", must_exist=True), of(NAN), normal(20)) is MetricClass.NODATA_FAIL
    assert classify(Metric("m", critical=True), normal(20), of()) is MetricClass.NODATA_FAIL


def test_nan_is_removed_or_zero():
    assert cleaned(of(1, NAN, 3)).tolist() == [1, 3]
    assert cleaned(of(1, NAN, 3), nan_as_zero=True).tolist() == [1, 0, 3]


def test_outlier_fences_are_wide():
    values = np.append(np.arange(1000.0), [-1e6, 1e6])
    kept = without_outliers(values)
    assert len(kept) == 1000
    assert len(without_outliers(of())) == 0


def scored(classes, groups=None, critical=()):
    metrics = [Metric(name, critical=name in critical) for name in classes]
    return score(metrics, classes, groups or [Group("all", tuple(classes))])


P, H, N = MetricClass.PASS, MetricClass.HIGH, MetricClass.NODATA


@pytest.mark.parametrize(
    ("classes", "total", "verdict"),
    [
        ("PPPP", 100, Verdict.PASS),
        ("PPPH", 75, Verdict.INCONCLUSIVE),
        ("PPHH", 50, Verdict.FAIL),
        ("PPPN", 100, Verdict.PASS),
        ("NNNN", 0, Verdict.NO_DATA),
    ],
)
def test_the_score_is_the_share_of_metrics_that_pass(classes, total, verdict):
    letters = {"P": P, "H": H, "N": N}
    found = scored({str(i): letters[letter] for i, letter in enumerate(classes)})
    assert (found.total, found.verdict) == (total, verdict)


def test_a_failing_critical_metric_fails_everything():
    found = scored({"a": P, "b": P, "c": P, "d": H}, critical=("d",))
    assert (found.total, found.verdict) == (0, Verdict.FAIL)


def test_groups_weigh_what_they_are_given_and_share_the_rest():
    groups = [Group("x", ("a",), 60), Group("y", ("b",)), Group("z", ("c",))]
    found = scored({"a": P, "b": H, "c": P}, groups)
    assert found.total == pytest.approx(80)
    assert found.groups == {"x": 100, "y": 0, "z": 100}


def test_a_group_without_data_leaves_its_weight_to_the_others():
    groups = [Group("x", ("a",), 60), Group("y", ("b",), 40)]
    assert scored({"a": P, "b": N}, groups).total == 100
