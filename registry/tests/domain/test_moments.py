"""Moments from outside are moments of UTC, or none."""

from datetime import UTC, datetime

import pytest

from registry.domain.moments import moment_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-03-01T12:00:00Z", "2026-03-01T14:00:00+02:00", "2026-03-01 12:00+00:00"]
)
def test_a_moment_is_the_same_in_whichever_zone_it_is_said(text):
    assert moment_of(text) == NOON and moment_of(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00", "2026-03-01"])
def test_one_without_a_zone_counts_only_where_that_is_allowed(text):
    assert moment_of(text) is None
    assert moment_of(text, zoned=False).date() == NOON.date()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-99-01",
        "0000-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-14:00",
        5,
        None,
        [],
    ],
)
def test_what_no_database_could_compare_with_is_none(text):
    assert moment_of(text, zoned=False) is None
