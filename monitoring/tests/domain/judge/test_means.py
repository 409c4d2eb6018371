import numpy as np
import pytest

from monitoring.domain.judge.means import Moments, difference, mixture_radius

ALPHA = 0.05


def arms(rng, kind, n):
    """Two arms of n values without a difference, shape (2, n)."""
    if kind == "normal":
        return rng.normal(10, 3, (2, n))
    if kind == "revenue":  # nine in ten spend nothing
        return (rng.random((2, n)) < 0.1) * rng.lognormal(3, 0.8, (2, n))
    return (rng.random((2, n)) < 0.05).astype(float)


@pytest.mark.parametrize("kind", ["normal", "revenue", "conversion"])
def test_the_truth_stays_inside_the_bounds_at_every_look(kind):
    rng = np.random.default_rng(7)
    looks = np.unique(np.geomspace(100, 3000, 40).astype(int))
    missed = 0
    for _ in range(300):
        values = arms(rng, kind, 3000)
        for n in looks:
            found = difference(Moments.of(values[0, :n]), Moments.of(values[1, :n]), ALPHA)
            if not found.lower <= 0 <= found.upper:
                missed += 1
                break
    # 0.05 of 300 is 15; 26 or more would happen with a probability of 0.5 %.
    assert missed <= 25


def test_the_bounds_close_around_a_real_difference():
    rng = np.random.default_rng(1)
    found = difference(Moments.of(rng.normal(11, 3, 4000)), Moments.of(rng.normal(10, 3, 4000)), 0.001)
    assert 0 < found.lower < found.value < found.upper < 1.5
    assert found.p_below > 0.999


@pytest.mark.parametrize("scale", [1e-6, 1000.0])
def test_the_unit_of_the_values_does_not_matter(scale):
    rng = np.random.default_rng(2)
    one, other = rng.normal(10, 3, 500), rng.normal(10.5, 2, 700)
    plain = difference(Moments.of(one), Moments.of(other), ALPHA)
    scaled = difference(Moments.of(scale * one), Moments.of(scale * other), ALPHA)
    assert scaled.lower == pytest.approx(scale * plain.lower)
    assert scaled.upper == pytest.approx(scale * plain.upper)


def test_unequal_arms_are_bounded_as_well():
    rng = np.random.default_rng(3)
    missed = sum(
        not (found.lower <= 0 <= found.upper)
        for found in (
            difference(Moments.of(rng.normal(0, 1, 150)), Moments.of(rng.normal(0, 1, 6000)), ALPHA)
            for _ in range(400)
        )
    )
    assert missed <= 20


def test_the_bounds_shrink_as_values_come():
    radii = [mixture_radius(2 / n, n / 2, ALPHA) for n in (100, 1000, 10_000, 100_000)]
    assert radii == sorted(radii, reverse=True)
    assert mixture_radius(0.0, 50, ALPHA) == 0.0
