from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollouts.domain.freeze import check_window, freeze_at, next_beginning
from rollouts.errors import Invalid

HOUR = timedelta(hours=1)
FRIDAY = datetime(2026, 3, 6, 17, tzinfo=UTC)


def frozen(now: datetime, **changes) -> bool:
    window = {"start": FRIDAY, "duration": 5 * HOUR, "rule": "", "zone": "UTC", "reason": "weekend"}
    return freeze_at(now, **{**window, **changes}) is not None


@pytest.mark.parametrize(
    ("after", "expected"), [(-0.01, False), (0, True), (4.99, True), (5, False), (24 * 7, False)]
)
def test_a_single_window_holds_from_its_start_to_its_end(after, expected):
    assert frozen(FRIDAY + after * HOUR) is expected


@pytest.mark.parametrize(("after", "expected"), [(24 * 7 + 1, True), (24 * 7 + 6, False), (24, False)])
def test_a_weekly_window_comes_back(after, expected):
    assert frozen(FRIDAY + after * HOUR, rule="FREQ=WEEKLY;BYDAY=FR") is expected


def test_a_recurring_window_keeps_its_wall_clock_time_when_the_clocks_change():
    """17:00 UTC is 18:00 in Berlin in winter; in summer 18:00 in Berlin is 16:00 UTC."""
    july = datetime(2026, 7, 3, 16, 30, tzinfo=UTC)
    assert frozen(july, rule="FREQ=WEEKLY;BYDAY=FR", zone="Europe/Berlin")
    assert not frozen(july, rule="FREQ=WEEKLY;BYDAY=FR", zone="UTC")


def test_a_freeze_says_until_when():
    freeze = freeze_at(FRIDAY, start=FRIDAY, duration=5 * HOUR, rule="", zone="UTC", reason="weekend")
    assert str(freeze) == "frozen until 2026-03-06 22:00 UTC: weekend"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start": datetime(2026, 3, 6)}, "starts_at"),
        ({"duration": timedelta(0)}, "ends_at"),
        ({"duration": timedelta(days=400)}, "ends_at"),
        ({"zone": "Nowhere"}, "timezone"),
        ({"zone": "../etc/passwd"}, "timezone"),
        ({"rule": "FREQ=NEVER"}, "rule"),
        ({"rule": "nonsense"}, "rule"),
        ({"rule": "FREQ=SECONDLY"}, "rule"),
        ({"rule": "FREQ=DAILY;BYHOUR=1,2,3"}, "rule"),
    ],
)
def test_a_window_that_cannot_be_evaluated_is_refused(changes, field):
    with pytest.raises(Invalid) as caught:
        check_window(**{"start": FRIDAY, "duration": HOUR, "rule": "", "zone": "UTC", **changes})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("now", "rule", "expected"),
    [
        (FRIDAY - HOUR, "", FRIDAY),
        (FRIDAY + HOUR, "", None),
        (FRIDAY + HOUR, "FREQ=WEEKLY", FRIDAY + timedelta(days=7)),
        (FRIDAY + HOUR, "FREQ=WEEKLY;COUNT=1", None),
        (FRIDAY + timedelta(days=8), "FREQ=WEEKLY;COUNT=2", None),
        (FRIDAY + timedelta(days=8), "FREQ=WEEKLY;UNTIL=20260313T235959", None),
    ],
)
def test_a_window_knows_when_it_begins_again(now, rule, expected):
    assert next_beginning(now, start=FRIDAY, rule=rule, zone="UTC") == expected
