"""Which versions retention lets go, one rule each."""

from datetime import UTC, datetime, timedelta

from registry.domain.retention import Candidate, expendable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def days(n):
    return NOW - timedelta(days=n)


def old(number, *, named=False, age=90):
    return Candidate(number, days(age), named)


def gone(versions, served, keep=2):
    return sorted(expendable(versions, served, keep=keep, now=NOW))


def test_the_last_that_served_production_are_kept_by_when_they_served():
    served = {1: days(1), 2: days(50), 3: days(40), 4: NOW}
    assert gone([old(n) for n in range(1, 5)], served) == [2, 3]


def test_what_never_served_goes_when_it_is_old_and_was_overtaken():
    versions = [old(1), old(2, age=10), old(3), old(4)]
    assert gone(versions, {3: NOW}) == [1], "2 is young, 3 serves, 4 is newer than all that served"


def test_what_an_alias_names_is_kept():
    assert gone([old(1, named=True), old(2)], {3: NOW}) == [2]


def test_nothing_goes_before_anything_served():
    assert gone([old(1), old(2)], {}) == []


def test_zero_keeps_everything():
    assert gone([old(1), old(2)], {1: days(9), 2: NOW}, keep=0) == []


def test_the_reason_says_when_it_served():
    found = expendable([old(1)], {1: days(9), 2: NOW}, keep=1, now=NOW)
    assert found == {1: "served production until 2026-02-20, not among the last 1"}
