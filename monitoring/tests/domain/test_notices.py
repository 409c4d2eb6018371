import pytest

from monitoring.domain.notices import Severity, Wish, back_off, check_kinds
from registry.errors import Invalid


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        (Wish(), True),
        (Wish(kinds=["rollout.paused"]), True),
        (Wish(kinds=["rollout"]), True),
        (Wish(kinds=["roll"]), False),
        (Wish(kinds=["rollout.failed", "alert"]), False),
        (Wish(least=Severity.WARNING), True),
        (Wish(least=Severity.CRITICAL), False),
        (Wish(environments=["production"]), True),
        (Wish(environments=["staging"]), False),
    ],
)
def test_a_target_hears_what_it_wants(wish, wanted):
    heard = wish.has(kind="rollout.paused", severity=Severity.WARNING, environment="production")
    assert heard is wanted


def test_what_belongs_to_no_environment_is_for_everybody():
    assert Wish(environments=["staging"]).has(kind="alert.fired", severity=Severity.INFO, environment="")


def test_a_kind_that_could_never_match_is_refused_with_its_place():
    check_kinds(["rollout", "rollout.paused", "alert.fired"])
    with pytest.raises(Invalid) as refused:
        check_kinds(["rollout", "Rollout paused"])
    assert refused.value.field == "kinds[1]"


def test_the_pause_after_failures_doubles_up_to_ten_minutes():
    assert [back_off(n).total_seconds() for n in (1, 2, 3, 9, 10, 10_000)] == [2, 4, 8, 512, 600, 600]
