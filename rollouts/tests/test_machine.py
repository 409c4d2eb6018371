from __future__ import annotations

from dataclasses import replace

import pytest

from monitoring.domain.judge import Verdict
from rollouts.domain.looks import window_due
from rollouts.domain.machine import ROLLBACK_CONFIRM, UNREADY_GRACE, decide
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.snapshot import Observation, WorkloadStatus, World
from rollouts.tests.cast import (
    ANALYSE_5,
    ANALYSE_50,
    AT_5,
    AT_50,
    HOLD_5,
    NOON,
    PROMOTE,
    PROVISION,
    judgement,
    later,
    ready,
    seen,
    snapshot,
    world,
)

NOT_READY = WorkloadStatus(ready=0, desired=1, message="exit code 139")


def test_a_pending_rollout_starts_its_servers():
    after = decide(snapshot(phase=Phase.PENDING), seen(), NOON).snapshot
    assert after.phase == Phase.PROVISIONING
    assert after.weight == 0


def test_traffic_waits_until_every_server_is_ready():
    waiting = snapshot(phase=Phase.PROVISIONING)
    assert decide(waiting, seen(candidate=NOT_READY), later(5)).snapshot == waiting
    after = decide(waiting, seen(candidate=ready(1)), later(5)).snapshot
    assert (after.phase, after.step, after.weight) == (Phase.PROGRESSING, AT_5, 5)


def test_a_candidate_that_never_becomes_ready_is_rolled_back_with_its_message():
    decision = decide(snapshot(phase=Phase.PROVISIONING), seen(candidate=NOT_READY), later(31))
    assert decision.snapshot.phase == Phase.ROLLING_BACK
    assert "exit code 139" in decision.snapshot.reason


def test_a_candidate_that_can_never_be_served_is_rolled_back_at_once():
    broken = WorkloadStatus(
        ready=0, desired=1, failed=True, message="digest is sha256:aa, expected sha256:bb"
    )
    decision = decide(snapshot(phase=Phase.PROVISIONING), seen(candidate=broken), later(1))
    assert decision.snapshot.phase == Phase.ROLLING_BACK
    assert "expected sha256:bb" in decision.snapshot.reason


def test_a_weight_step_ends_only_when_the_router_was_seen_to_apply_it():
    asked = snapshot(AT_5)
    assert decide(asked, seen(0), later(1)).snapshot == asked
    assert decide(asked, seen(None), later(1)).snapshot == asked
    assert decide(asked, seen(5), later(1)).snapshot.step == HOLD_5


def test_the_analysis_window_opens_when_the_share_is_seen():
    assert decide(snapshot(AT_5), seen(5), later(3)).snapshot.exposed_at == later(3)


def test_a_new_share_opens_a_new_window():
    after = decide(snapshot(ANALYSE_5), seen(5, Verdict.PASS), later(20)).snapshot
    assert (after.step, after.weight, after.exposed_at) == (AT_50, 50, None)


def test_a_hold_lasts_as_long_as_it_says():
    holding = snapshot(HOLD_5)
    assert decide(holding, seen(5), later(9.9)).snapshot.step == HOLD_5
    assert decide(holding, seen(5), later(10)).snapshot.step == ANALYSE_5


@pytest.mark.parametrize("step", [HOLD_5, ANALYSE_5, ANALYSE_50])
@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.HOLDING, Phase.PAUSED])
def test_a_failed_gate_rolls_back_at_once_whatever_the_step(step, phase):
    going = snapshot(step, phase)
    decision = decide(going, seen(going.weight, Verdict.FAIL), later(1))
    assert decision.snapshot.phase == Phase.ROLLING_BACK
    assert decision.snapshot.weight == 0
    assert decision.events[0].evidence["verdict"] == "fail"


def test_a_pass_before_the_analysis_is_over_does_not_advance():
    assert decide(snapshot(ANALYSE_5), seen(5, Verdict.PASS), later(19)).snapshot.step == ANALYSE_5


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.ERROR])
def test_an_undecided_analysis_holds_and_never_promotes_or_rolls_back(verdict):
    decision = decide(snapshot(ANALYSE_50), seen(50, verdict), later(20))
    assert (decision.snapshot.phase, decision.snapshot.step) == (Phase.HOLDING, ANALYSE_50)
    assert decision.snapshot.weight == 50


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.ERROR])
def test_after_the_deadline_a_person_is_asked(verdict):
    held = snapshot(ANALYSE_50, Phase.HOLDING)
    decision = decide(held, seen(50, verdict), later(81))
    assert decision.snapshot.phase == Phase.PAUSED
    assert "a person must decide" in decision.snapshot.reason


def test_a_hold_ends_with_the_first_pass():
    held = snapshot(ANALYSE_5, Phase.HOLDING)
    after = decide(held, seen(5, Verdict.PASS), later(40)).snapshot
    assert (after.phase, after.step) == (Phase.PROGRESSING, AT_50)


def test_a_repeated_verdict_does_not_fill_the_timeline():
    held = snapshot(ANALYSE_5, Phase.HOLDING, reason="because")
    assert decide(held, seen(5, Verdict.NO_DATA), later(25)).events == ()


def test_a_paused_rollout_stays_where_it_is():
    paused = snapshot(ANALYSE_5, Phase.PAUSED)
    after = decide(paused, seen(5, Verdict.PASS), later(500)).snapshot
    assert (after.phase, after.step, after.weight) == (Phase.PAUSED, ANALYSE_5, 5)


def test_the_last_analysis_leads_to_the_promotion():
    after = decide(snapshot(ANALYSE_50), seen(50, Verdict.PASS), later(20)).snapshot
    assert (after.phase, after.step, after.weight) == (Phase.PROMOTING, PROMOTE, 100)


def test_the_promotion_is_done_when_all_traffic_was_seen_on_the_candidate():
    promoting = snapshot(PROMOTE, Phase.PROMOTING)
    assert not decide(promoting, seen(50), later(1)).promoted
    decision = decide(promoting, seen(100), later(1))
    assert decision.promoted
    assert decision.snapshot.phase == Phase.SUCCEEDED


def test_a_candidate_without_a_ready_server_gets_no_traffic():
    decision = decide(snapshot(ANALYSE_5), seen(5, candidate=NOT_READY), later(3))
    assert decision.snapshot.phase == Phase.HOLDING
    assert decision.snapshot.weight == 0
    assert "no ready server" in decision.snapshot.reason


def test_a_candidate_that_comes_back_gets_its_share_and_a_fresh_clock():
    lost = snapshot(ANALYSE_5, Phase.HOLDING, unready_since=later(3), exposed_at=None)
    after = decide(lost, seen(0), later(6)).snapshot
    assert (after.phase, after.weight, after.step_started_at) == (Phase.PROGRESSING, 5, later(6))


def test_a_candidate_that_stays_away_is_rolled_back():
    lost = snapshot(ANALYSE_5, Phase.HOLDING, unready_since=NOON, exposed_at=None)
    moment = NOON + UNREADY_GRACE
    assert decide(lost, seen(0, candidate=NOT_READY), moment).snapshot.phase == Phase.HOLDING
    assert decide(lost, seen(0, candidate=NOT_READY), later(16)).snapshot.phase == Phase.ROLLING_BACK


def test_a_candidate_that_was_moved_may_take_as_long_as_it_took_to_start():
    lost = snapshot(ANALYSE_5, Phase.HOLDING, unready_since=NOON, exposed_at=None)
    moved = replace(NOT_READY, moved=True)
    within = lost.plan.ready_within
    assert decide(lost, seen(0, candidate=moved), later(within - 1)).snapshot.phase == Phase.HOLDING
    assert decide(lost, seen(0, candidate=moved), later(within + 1)).snapshot.phase == Phase.ROLLING_BACK


def test_while_the_stable_version_does_not_answer_either_the_candidate_is_not_blamed():
    lost = snapshot(ANALYSE_5, Phase.HOLDING, unready_since=NOON, exposed_at=None)
    neither = Observation(World({"1": NOT_READY, "2": NOT_READY}, weights={"1": 100}))
    waiting = decide(lost, neither, later(600)).snapshot
    assert (waiting.phase, waiting.unready_since) == (Phase.HOLDING, later(600))
    alone = decide(waiting, seen(0, candidate=NOT_READY), later(610)).snapshot
    assert alone.phase == Phase.HOLDING
    assert decide(alone, seen(0, candidate=NOT_READY), later(616)).snapshot.phase == Phase.ROLLING_BACK


def test_a_candidate_that_flaps_is_rolled_back_although_it_never_crashes():
    """Each return begins the step anew, so without a limit it would walk for ever."""
    flapping = snapshot(ANALYSE_5, Phase.HOLDING, lapses=2)
    third = decide(flapping, seen(5, candidate=NOT_READY), later(3)).snapshot
    assert (third.phase, third.lapses) == (Phase.HOLDING, 3)
    back = decide(third, seen(0, candidate=ready()), later(5)).snapshot
    assert (back.phase, back.lapses) == (Phase.PROGRESSING, 3)
    fourth = decide(back, seen(5, candidate=NOT_READY), later(9)).snapshot
    assert fourth.phase == Phase.ROLLING_BACK
    assert "lost its last ready server 4 times; the plan allows 3" in fourth.reason


def test_what_began_in_the_future_begins_now_when_a_clock_is_set_back():
    """Otherwise the hold would last until the clock is where it was."""
    held = snapshot(HOLD_5, step_started_at=later(3600), exposed_at=later(3600))
    after = decide(held, seen(5), NOON).snapshot
    assert (after.step, after.step_started_at, after.exposed_at) == (held.step, NOON, NOON)
    assert decide(after, seen(5), later(9)).snapshot.step == held.step, "never shorter than the plan says"
    assert decide(after, seen(5), later(11)).snapshot.step == held.step + 1


def test_clocks_of_workers_may_differ_a_little():
    held = snapshot(HOLD_5, step_started_at=later(4))
    assert decide(held, seen(5), NOON).snapshot == held


def test_a_candidate_that_keeps_crashing_is_rolled_back_even_while_it_is_ready():
    decision = decide(snapshot(ANALYSE_5), seen(5, candidate=ready(restarts=4)), later(3))
    assert decision.snapshot.phase == Phase.ROLLING_BACK
    assert "crashed 4 times; the plan allows 3" in decision.snapshot.reason


def test_a_promotion_is_given_up_when_the_candidate_dies():
    decision = decide(snapshot(PROMOTE, Phase.PROMOTING), seen(50, candidate=NOT_READY), later(1))
    assert decision.snapshot.phase == Phase.ROLLING_BACK


def test_a_paused_rollout_stays_paused_when_its_candidate_dies_and_returns():
    paused = snapshot(ANALYSE_5, Phase.PAUSED)
    lost = decide(paused, seen(5, candidate=NOT_READY), later(1)).snapshot
    assert (lost.phase, lost.weight) == (Phase.PAUSED, 0)
    back = decide(lost, seen(0), later(4)).snapshot
    assert (back.phase, back.weight) == (Phase.PAUSED, 5)


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.HOLDING, Phase.PROMOTING])
def test_a_world_that_does_not_answer_changes_nothing(phase):
    before = snapshot(PROMOTE if phase == Phase.PROMOTING else ANALYSE_5, phase)
    for silent in (World(cluster_known=False, weights={"2": 5}), World(router_known=False)):
        assert decide(before, Observation(silent), later(500)).snapshot == before


def test_a_rollback_needs_only_the_router_to_confirm():
    going = snapshot(ANALYSE_5, Phase.ROLLING_BACK, rolling_back_since=NOON)
    assert decide(going, seen(5), later(1)).snapshot == going
    confirmed = Observation(World(cluster_known=False, weights={"1": 100}))
    assert decide(going, confirmed, later(1)).snapshot.phase == Phase.ROLLED_BACK


def test_a_mirror_must_be_gone_too_before_a_rollback_is_confirmed():
    going = snapshot(ANALYSE_5, Phase.ROLLING_BACK, rolling_back_since=NOON)
    assert decide(going, seen(0, mirror=20), later(1)).snapshot == going


def test_an_unconfirmed_rollback_calls_a_person():
    going = snapshot(ANALYSE_5, Phase.ROLLING_BACK, rolling_back_since=NOON)
    decision = decide(going, Observation(World(router_known=False)), NOON + ROLLBACK_CONFIRM * 2)
    assert decision.snapshot.phase == Phase.FAILED
    assert decision.snapshot.weight == 0


def test_a_rollback_under_way_is_not_turned_round_by_a_good_verdict():
    going = snapshot(ANALYSE_5, Phase.ROLLING_BACK, rolling_back_since=NOON)
    assert decide(going, seen(5, Verdict.PASS), later(1)).snapshot.phase == Phase.ROLLING_BACK


@pytest.mark.parametrize("phase", sorted(TERMINAL))
def test_nothing_moves_after_the_end(phase):
    over = snapshot(PROMOTE, phase)
    assert decide(over, seen(50, Verdict.FAIL), later(9)).snapshot == over


def test_looks_are_counted():
    after = decide(snapshot(HOLD_5), seen(5, Verdict.PASS), later(5)).snapshot
    assert (after.looks, after.last_look_at) == (1, later(5))


class TestWhenALookIsDue:
    def test_every_interval_from_the_moment_of_exposure(self):
        going = snapshot(HOLD_5)
        assert window_due(going, later(4)) is None
        window = window_due(going, later(5))
        assert window is not None
        assert (window.start, window.end) == (NOON, later(5))

    def test_counted_from_the_last_look(self):
        going = snapshot(HOLD_5, last_look_at=later(5))
        assert window_due(going, later(9)) is None
        assert window_due(going, later(10)) is not None

    def test_at_the_end_of_an_analysis_without_waiting_for_the_interval(self):
        going = snapshot(ANALYSE_5, last_look_at=later(18))
        assert window_due(going, later(19.9)) is None
        assert window_due(going, later(20)) is not None
        assert window_due(replace(going, last_look_at=later(20)), later(21)) is None

    def test_also_while_paused(self):
        assert window_due(snapshot(ANALYSE_5, Phase.PAUSED), later(5)) is not None

    @pytest.mark.parametrize(
        "phase", [Phase.PROVISIONING, Phase.ROLLING_BACK, Phase.PROMOTING, Phase.SUCCEEDED]
    )
    def test_never_when_there_is_nothing_to_decide(self, phase):
        assert window_due(snapshot(ANALYSE_5, phase), later(500)) is None

    def test_never_before_the_share_was_seen_in_effect(self):
        assert window_due(snapshot(AT_5, exposed_at=None), later(500)) is None

    def test_never_while_the_candidate_has_no_traffic(self):
        assert window_due(snapshot(PROVISION), later(500)) is None


def test_a_mirrored_candidate_is_looked_at_before_anybody_is_exposed():
    from rollouts.tests.cast import plan

    dark = snapshot(1, plan=plan(mirror_percent=30), exposed_at=None)
    assert (dark.weight, dark.mirror) == (0, 30)
    seen_dark = decide(dark, Observation(world(0, mirror=30)), later(2)).snapshot
    assert seen_dark.current.kind == "analyse"
    assert window_due(seen_dark, later(7)) is not None
    after = decide(seen_dark, Observation(world(0, mirror=30), judgement(Verdict.FAIL)), later(7)).snapshot
    assert (after.phase, after.mirror) == (Phase.ROLLING_BACK, 0)
