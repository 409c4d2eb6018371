from __future__ import annotations

import pytest

from rollouts.domain.commands import VERBS, abort, activate, pause, promote, resume, supersede
from rollouts.domain.phases import Phase
from rollouts.errors import WrongPhase
from rollouts.tests.cast import ANALYSE_5, NOON, PROMOTE, PROVISION, later, snapshot

FUNCTIONS = {"pause": pause, "resume": resume, "promote": promote, "abort": abort}


@pytest.mark.parametrize("verb", FUNCTIONS)
@pytest.mark.parametrize("phase", list(Phase))
def test_a_verb_works_in_exactly_the_phases_of_its_row(verb, phase):
    step = PROVISION if phase in {Phase.QUEUED, Phase.PENDING, Phase.PROVISIONING} else ANALYSE_5
    before = snapshot(step, phase)
    if phase in VERBS[verb]:
        assert FUNCTIONS[verb](before, "why", later(1)).events[0].reason == "why"
    else:
        with pytest.raises(WrongPhase):
            FUNCTIONS[verb](before, "why", later(1))


def test_a_pause_keeps_the_share():
    assert pause(snapshot(ANALYSE_5), "why", NOON).snapshot.weight == 5


def test_a_resumed_step_starts_its_clock_anew():
    after = resume(snapshot(ANALYSE_5, Phase.PAUSED), "why", later(100)).snapshot
    assert (after.phase, after.step_started_at) == (Phase.PROGRESSING, later(100))


def test_a_rollout_paused_while_provisioning_goes_back_to_provisioning():
    assert resume(snapshot(PROVISION, Phase.PAUSED), "why", NOON).snapshot.phase == Phase.PROVISIONING


def test_a_promotion_by_hand_skips_to_the_promote_step():
    after = promote(snapshot(ANALYSE_5), "why", NOON).snapshot
    assert (after.phase, after.step, after.weight) == (Phase.PROMOTING, PROMOTE, 100)


def test_a_candidate_without_a_ready_server_cannot_be_promoted():
    for lost in (snapshot(ANALYSE_5, Phase.HOLDING, unready_since=NOON), snapshot(PROVISION, Phase.PAUSED)):
        with pytest.raises(WrongPhase, match="no ready server"):
            promote(lost, "why", NOON)


def test_an_abort_sends_the_share_to_zero_also_while_promoting():
    after = abort(snapshot(PROMOTE, Phase.PROMOTING), "why", NOON).snapshot
    assert (after.phase, after.weight) == (Phase.ROLLING_BACK, 0)


def test_a_refusal_says_what_would_be_possible():
    with pytest.raises(WrongPhase, match="rolled back"):
        abort(snapshot(ANALYSE_5, Phase.ROLLED_BACK), "why", NOON)
    with pytest.raises(WrongPhase) as caught:
        resume(snapshot(ANALYSE_5), "why", NOON)
    assert "paused" in str(caught.value)


def test_a_rollout_that_met_no_user_ends_as_cancelled():
    assert abort(snapshot(PROVISION, Phase.PROVISIONING), "why", NOON).snapshot.ending == Phase.CANCELLED
    assert abort(snapshot(ANALYSE_5), "why", NOON).snapshot.ending == Phase.ROLLED_BACK
    assert abort(snapshot(PROVISION, Phase.QUEUED), "why", NOON).snapshot.phase == Phase.CANCELLED


def test_a_superseded_rollout_gives_the_traffic_back_first():
    after = supersede(snapshot(ANALYSE_5), "newer", NOON).snapshot
    assert (after.phase, after.ending, after.weight) == (Phase.ROLLING_BACK, Phase.SUPERSEDED, 0)
    assert supersede(snapshot(PROVISION, Phase.QUEUED), "newer", NOON).snapshot.phase == Phase.SUPERSEDED


def test_a_rollback_under_way_is_not_renamed_by_a_newer_candidate():
    going = snapshot(ANALYSE_5, Phase.ROLLING_BACK, rolling_back_since=NOON)
    assert supersede(going, "newer", NOON).snapshot == going


def test_a_queued_rollout_gets_nothing_and_begins_with_a_fresh_clock():
    queued = snapshot(PROVISION, Phase.QUEUED)
    assert (queued.weight, queued.mirror) == (0, 0)
    after = activate(queued, "go", later(9)).snapshot
    assert (after.phase, after.step_started_at) == (Phase.PENDING, later(9))
