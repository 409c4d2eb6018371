from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.series import extrapolated_increase, increase
from monitoring.domain.window import Window

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def of(*pairs):
    return np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=float)


def test_the_last_sample_before_the_window_is_where_it_begins():
    assert increase(*of((9, 100), (11, 103), (20, 110)), 10, 20) == 10


def test_a_first_value_that_is_too_old_is_not_used():
    assert increase(*of((1, 100), (111, 103), (120, 110)), 110, 120) == 7


def test_a_restart_counts_the_new_process_from_zero():
    assert increase(*of((9, 100), (11, 105), (12, 2), (13, 4)), 10, 20) == 9


def test_a_counter_born_in_the_window_counts_from_zero():
    assert increase(*of((11, 5), (12, 6)), 10, 20) == 1
    assert increase(*of((11, 5), (12, 6)), 10, 20, born=True) == 6


def test_samples_that_are_not_numbers_are_skipped():
    assert increase(*of((9, 1), (11, np.nan), (12, 4)), 10, 20) == 3


def test_without_a_sample_in_the_window_nothing_is_known():
    assert increase(*of((9, 1), (21, 4)), 10, 20) is None
    assert increase(*of(), 10, 20) is None


@given(st.lists(st.integers(0, 20), min_size=2, max_size=30), st.integers(0, 29))
def test_increases_of_neighbouring_windows_add_up(gains, cut):
    values = np.cumsum(gains).astype(float)
    times = np.arange(len(values), dtype=float)
    cut = min(cut, len(values) - 2)
    parts = [
        increase(times, values, -0.5, cut + 0.5) or 0.0,
        increase(times, values, cut + 0.5, len(values)) or 0.0,
    ]
    assert sum(parts) == values[-1] - values[0]


def test_extrapolation_stretches_to_the_edges_of_the_window():
    # Samples at 12, 14, …, 28 in (10, 30]: both edges are within 1.1 sample distances.
    times = np.arange(12.0, 30.0, 2.0)
    assert extrapolated_increase(times, 100 + times, 10, 30) == pytest.approx(20)


def test_extrapolation_goes_half_a_sample_where_the_edge_is_far():
    assert extrapolated_increase(*of((20, 100), (22, 102), (24, 104)), 10, 25) == pytest.approx(
        4 * (4 + 1 + 1) / 4
    )


def test_extrapolation_stops_where_the_counter_was_zero():
    assert extrapolated_increase(*of((11, 0), (12, 2), (13, 4)), 10.5, 13) == 4


def test_one_sample_is_no_increase_for_prometheus():
    assert extrapolated_increase(*of((11, 5)), 10, 20) is None


def test_the_grid_ends_at_the_window_and_covers_it():
    window = Window(T0, T0 + timedelta(seconds=60))
    grid = window.grid(15)
    assert len(grid) == 4
    assert grid[-1] == window.end.timestamp()
    assert grid[0] - 15 == window.start.timestamp()


def test_windows_without_a_time_zone_or_upside_down_are_refused():
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 1, 1), T0)
    with pytest.raises(ValueError, match="before"):
        Window(T0, T0)
    assert Window.from_dict(Window.last(30, T0).to_dict()) == Window.last(30, T0)
