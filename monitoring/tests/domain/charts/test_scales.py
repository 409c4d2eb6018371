import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.charts.scales import (
    Scale,
    chart_step,
    clock,
    plain,
    stacked_rows,
    time_ticks,
    value_ticks,
)


@given(st.floats(1e-6, 1e9))
def test_value_ticks_start_at_zero_and_cover_the_highest_value(highest):
    ticks = value_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-9)
    assert 2 <= len(ticks) <= 6


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(73, [0, 20, 40, 60, 80]), (1, [0, 0.25, 0.5, 0.75, 1]), (0, [0, 1]), (float("nan"), [0, 1])],
)
def test_value_ticks_are_round(highest, ticks):
    assert value_ticks(highest) == ticks


@given(st.floats(1_600_000_000, 1_900_000_000), st.floats(5, 30 * 86400))
def test_time_ticks_are_few_and_inside(start, span):
    ticks = time_ticks(start, start + span)
    assert all(start <= at <= start + span for at, _ in ticks)
    assert len(ticks) <= 6


def test_time_ticks_stand_at_round_moments():
    start = 1_767_268_803.0  # 2026-01-01 12:00:03 UTC
    assert [label for _, label in time_ticks(start, start + 300)] == [
        "12:01",
        "12:02",
        "12:03",
        "12:04",
        "12:05",
    ]
    assert [label for _, label in time_ticks(start, start + 60)][:2] == ["12:00:15", "12:00:30"]
    assert clock(start, 86400) == "01 Jan"


def test_numbers_have_no_needless_digits():
    assert [plain(v) for v in (0, 0.25, 12.5, 1500, 0.0004)] == ["0", "0.25", "12.5", "1,500", "0.0004"]


def test_a_scale_maps_ends_to_ends_and_can_point_downwards():
    scale = Scale(0, 10, 200, 40)
    assert (scale(0), scale(10), scale(5)) == (200, 40, 120)


@pytest.mark.parametrize(("seconds", "step"), [(60, 2), (300, 5), (3600, 60), (86400, 1800)])
def test_a_window_is_drawn_with_about_sixty_points(seconds, step):
    assert chart_step(seconds) == step


def test_texts_that_would_collide_go_to_another_row():
    spans = [(start, start + 50.0) for start in (0.0, 10.0, 60.0, 200.0, 20.0)]
    assert stacked_rows(spans, 2) == [0, 1, 0, 0, None]
    assert stacked_rows([(150.0, 200.0), (100.0, 160.0)], 2) == [0, 1], "one stands left of its mark"
