from __future__ import annotations

import pytest

from monitoring.domain.judge import GateResult, Verdict
from registry.domain.actor import SYSTEM
from rollouts.domain.commands import VERBS
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.policy import Policy, apply_policy
from rollouts.domain.strategies import compile_plan
from rollouts.models import Transition
from rollouts.tests.cast import ANALYSE_5, AT_5, HOLD_5, HOLD_50, PROMOTE, PROVISION, plan
from rollouts.web import look, verbs
from rollouts.web.gates import gate_row
from rollouts.web.ladder import ladder, plan_lines, progress
from rollouts.web.presenters import timeline


def test_every_phase_and_every_verdict_has_a_badge():
    assert set(look.PHASES) == {phase.value for phase in Phase}
    assert set(look.VERDICTS) == set(Verdict)


def test_an_unknown_phase_is_shown_by_its_own_name():
    assert look.phase_badge("gone_fishing") == look.Badge("Gone fishing", "muted")


def test_the_bar_begins_with_stable_and_ends_with_the_candidate():
    parts = look.shares({"3": 10, "1": 85, "2": 5}, stable="1", candidate="3")
    assert [(part.ref, part.role, part.start, part.percent) for part in parts] == [
        ("1", "stable", 0, 85),
        ("2", "baseline", 85, 5),
        ("3", "candidate", 90, 10),
    ]


def test_a_version_without_traffic_has_no_part_of_the_bar():
    assert [part.ref for part in look.shares({"1": 100, "2": 0}, stable="1", candidate="2")] == ["1"]


def test_splits_are_the_same_when_they_differ_only_in_versions_without_traffic():
    assert look.same_split({"1": 100, "2": 0}, {"1": 100})
    assert not look.same_split({"1": 95, "2": 5}, {"1": 100})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_elapsed_time_is_told_to_the_second(seconds, text):
    assert look.elapsed_text(seconds) == text


def test_peoples_words_and_names_keep_their_letters():
    for text in ("looking", "wine version 1 is pickle", "iPhone users complain", "churn-prod is frozen"):
        assert look.sentence(text) == text
    for actor, shown in (("anna", "no complaints"), (str(SYSTEM), "No complaints")):
        (entry,) = timeline([Transition(actor=actor, reason="no complaints", to_phase="paused", evidence={})])
        assert entry.reason == shown


def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_version():
    assert look.sentence("held; now: go on") == "Held; now: go on"
    assert look.sentence("v3 is ready") == "v3 is ready"
    assert look.sentence("p95 4.2 ms") == "p95 4.2 ms"
    assert look.sentence("latency_p95: 4.2 ms") == "latency_p95: 4.2 ms"
    assert look.sentence("") == ""


def test_the_ladder_has_a_rung_for_the_start_for_each_weight_and_for_the_promotion():
    stages = ladder(plan(), index=PROVISION, phase=Phase.PROVISIONING, elapsed=3)
    assert [stage.label for stage in stages] == ["Start", "5 %", "50 %", "100 %"]
    assert [stage.state for stage in stages] == ["current", "todo", "todo", "todo"]
    assert stages[0].note == "starting servers"


def test_the_current_rung_tells_what_it_does_and_how_long_it_still_takes():
    holding = ladder(plan(), index=HOLD_5, phase=Phase.PROGRESSING, elapsed=4)[1]
    assert (holding.note, holding.percent) == ("holding, 6 s left", pytest.approx(13.3))
    analysing = ladder(plan(), index=ANALYSE_5, phase=Phase.PROGRESSING, elapsed=5)[1]
    assert (analysing.note, analysing.percent) == ("analysing, 15 s left", 50)
    late = ladder(plan(), index=ANALYSE_5, phase=Phase.HOLDING, elapsed=25)[1]
    assert (late.note, late.percent, late.state) == ("analysing, needs more data", 100, "held")
    assert ladder(plan(), index=AT_5, phase=Phase.PROGRESSING, elapsed=0)[1].note == "moving traffic"
    assert ladder(plan(), index=HOLD_5, phase=Phase.PAUSED, elapsed=4)[1].note == "paused"


def test_a_rollback_shows_where_it_stopped():
    for phase in TERMINAL - {Phase.SUCCEEDED, Phase.CONCLUDED} | {Phase.ROLLING_BACK}:
        stages = ladder(plan(), index=HOLD_50, phase=phase, elapsed=2)
        assert [stage.state for stage in stages] == ["done", "done", "stopped", "todo"]
        assert stages[2].note == "stopped here"


def test_a_success_is_a_climbed_ladder():
    stages = ladder(plan(), index=PROMOTE, phase=Phase.SUCCEEDED, elapsed=1)
    assert {stage.state for stage in stages} == {"done"}
    assert progress(stages) == 100


def test_a_mirrored_look_is_a_rung_of_its_own():
    stages = ladder(plan(mirror_percent=20), index=0, phase=Phase.PENDING, elapsed=0)
    assert [stage.label for stage in stages] == ["Start", "Mirror 20 %", "5 %", "50 %", "100 %"]


def rungs(strategy: str, **parameters: object) -> list[str]:
    """The labels of a strategy's ladder under a policy that asks for one approval before the promotion."""
    policy = Policy.from_dict({"approvals": [{"before": "promotion"}]})
    compiled = apply_policy(compile_plan(strategy, parameters, replicas=1), policy)
    return [stage.label for stage in ladder(compiled, index=0, phase=Phase.PENDING, elapsed=0)]


def test_every_strategy_has_rungs_for_testers_approvals_the_switch_and_the_end():
    assert rungs("canary", steps=[5]) == ["Start", "5 %", "Approval", "100 %"]
    assert rungs("blue_green") == ["Start", "Testers", "Approval", "100 %", "Promotion"]
    assert rungs("shadow", mirror_percent=30) == ["Start", "Mirror 30 %", "End"]


def test_an_approval_is_a_rung_that_waits_for_people():
    compiled = apply_policy(plan(), Policy.from_dict({"approvals": [{"before": "start"}]}))
    stages = ladder(compiled, index=0, phase=Phase.AWAITING_APPROVAL, elapsed=3)
    assert (stages[0].label, stages[0].state, stages[0].note) == ("Approval", "held", "waiting for people")
    assert stages[1].state == "todo"


def test_a_conclusion_is_a_climbed_ladder_and_no_rollback():
    compiled = compile_plan("shadow", {}, replicas=1)
    end = len(compiled.steps) - 1
    going = ladder(compiled, index=end, phase=Phase.ROLLING_BACK, elapsed=1)
    assert (going[-1].state, going[-1].note) == ("current", "giving the traffic back")
    done = ladder(compiled, index=end, phase=Phase.CONCLUDED, elapsed=1)
    assert {stage.state for stage in done} == {"done"}


def test_the_plan_reads_as_sentences_with_the_candidates_share():
    lines = plan_lines(plan())
    assert lines[1].text == "Send 5 % of the traffic to the candidate"
    assert [line.weight for line in lines] == [0, 5, 5, 5, 50, 50, 50, 100, 100]


def result(**changes) -> GateResult:
    values = {"name": "g", "kind": "error_rate", "verdict": Verdict.PASS, "reason": "fine", "unit": "ratio"}
    return GateResult(**{**values, **changes})


def test_a_gate_shows_rates_in_percent_and_their_difference_in_points():
    row = gate_row(result(value=0.031, reference=0.0004, effect=0.0306, limit=0.005, ceiling=0.02, n=1204.4))
    assert (row.candidate, row.stable, row.effect) == ("3.1 %", "0.04 %", "+3.06 points")
    assert row.limits == ("difference ≤ 0.5 points", "candidate ≤ 2 %")
    assert row.candidate_n == "1,204"


def test_a_gate_shows_latencies_in_milliseconds_and_their_ratio():
    row = gate_row(
        result(kind="latency", unit="seconds", value=0.0042, reference=1.2, effect=1.08, limit=1.5)
    )
    assert (row.candidate, row.stable, row.effect) == ("4.2 ms", "1.2 s", "1.08 ×")
    assert row.limits == ("difference ≤ 1.5 ×",)


def test_what_a_gate_does_not_know_is_a_dash():
    row = gate_row(result(verdict=Verdict.NO_DATA, value=float("nan")))
    assert (row.candidate, row.stable, row.effect, row.limits, row.stable_n) == ("–", "–", "–", ("–",), "–")
    assert row.badge.tone == "muted"


@pytest.mark.parametrize("phase", Phase)
def test_the_buttons_are_the_verbs_that_apply_in_the_phase(phase):
    shown = {button.verb.name for button in verbs.buttons(phase, set(verbs.Permission))}
    again = {"retry"} if phase in TERMINAL - {Phase.SUCCEEDED} else set()
    assert shown == {verb for verb, phases in VERBS.items() if phase in phases} | again


def test_a_button_that_the_role_may_not_press_says_why():
    by_name = {b.verb.name: b for b in verbs.buttons(Phase.PROGRESSING, {verbs.Permission.CONTROL_ROLLOUT})}
    assert by_name["abort"].why_not == ""
    assert by_name["promote"].why_not == "Your role lacks the permission “promote”."


@pytest.mark.parametrize("verb", verbs.ROLLOUT_VERBS)
def test_every_verb_says_what_it_will_do_to_which_version(verb):
    deed = verbs.deed(verb, stable="1", candidate="3", weight=25)
    assert "v3" in deed.summary
    assert deed.consequences


def test_before_any_traffic_nothing_is_said_to_move():
    deed = verbs.deed("abort", stable="1", candidate="3", weight=0)
    assert deed.summary == "Ends the rollout and removes v3’s servers; v1 keeps 100 % of traffic."


def test_a_queued_rollout_waits_for_its_turn():
    assert ladder(plan(), index=0, phase=Phase.QUEUED, elapsed=50)[0].note == "waiting for its turn"


def test_a_rollback_says_that_it_needs_nobody():
    deed = verbs.deed("abort", stable="1", candidate="3", weight=25)
    assert deed.summary == "Sends 100 % of traffic back to v1 at once and removes v3’s servers."
    assert "Needs no metrics and no approval." in deed.consequences
