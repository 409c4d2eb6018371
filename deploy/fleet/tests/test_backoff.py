from deploy.fleet.backoff import HEALTHY_S, delay, streak_after


def test_the_first_crash_is_answered_at_once():
    assert delay(0) == 0.0


def test_the_pause_doubles_up_to_half_a_minute():
    assert [delay(streak) for streak in range(1, 9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_no_streak_is_too_long_to_compute():
    assert delay(10**9) == 30.0


def test_a_minute_of_health_clears_the_slate():
    assert streak_after(5, HEALTHY_S) == 0
    assert streak_after(5, HEALTHY_S - 0.1) == 5
