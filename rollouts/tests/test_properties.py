"""Random histories: clicks, votes, freezes, verdicts, clock steps, and a world that obeys late, fails, comes back.

20,000 of them, in parts that share the cores.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import Phase as Part
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitoring.domain.judge import Verdict
from rollouts.domain import commands
from rollouts.domain.clock import in_its_time
from rollouts.domain.desired import EndpointState, ReleaseSpec, desired_world
from rollouts.domain.hooks import Answer
from rollouts.domain.looks import window_due
from rollouts.domain.machine import decide
from rollouts.domain.phases import TERMINAL, Phase, may_move
from rollouts.domain.plan import Approve, Plan
from rollouts.domain.policy import Freeze, Policy, Vote, apply_policy
from rollouts.domain.snapshot import Decision, Observation, Snapshot, WorkloadStatus, World
from rollouts.domain.strategies import compile_plan
from rollouts.errors import WrongPhase
from rollouts.tests.cast import CANDIDATE, NOON, STABLE, judgement, later, plan, ready, snapshot

DOWN = WorkloadStatus(ready=0, desired=1, message="gone")
FROZEN = Freeze(later(3600), "holidays")
TWO_BEFORE_PROMOTION = Policy.from_dict({"approvals": [{"before": "promotion", "count": 2, "seconds": 120}]})
FAST_AB = {
    "experiment_seconds": 20,
    "interval_seconds": 5,
    "deadline_seconds": 60,
    "ready_within_seconds": 30,
}
SHORT = {"analyse_seconds": 10, "interval_seconds": 5, "deadline_seconds": 60, "ready_within_seconds": 30}
PLANS = (
    plan(),
    plan(mirror_percent=20, max_restarts=0),
    apply_policy(plan(steps=[50]), TWO_BEFORE_PROMOTION),
    compile_plan("blue_green", {**SHORT, "preview_seconds": 5}, replicas=1),
    compile_plan("shadow", SHORT, replicas=1),
    compile_plan("ab", FAST_AB, replicas=1),
    compile_plan("ab", {**FAST_AB, "arm": {"cookie": "arm", "value": "b"}}, replicas=1),
)
HISTORIES, PARTS = 20_000, 10

_BEFORE_PROMOTION = {Phase.PROGRESSING, Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL}


class Histories(RuleBasedStateMachine):
    """One rollout, the world it lives in, and everybody who can touch it."""

    @initialize(walked=st.sampled_from(PLANS))
    def begin(self, walked: Plan) -> None:
        self.now = NOON
        self.row: Snapshot = snapshot(0, Phase.PENDING, plan=walked, exposed_at=None)
        self.candidate, self.weights, self.mirror, self.preview = DOWN, {STABLE: 100}, {}, None
        self.frozen, self.votes, self.voters = False, (), count()
        self.cluster_up = self.router_up = True
        self.router_obeys = True
        self.aborted = self.promoted = False
        self.verdict = Verdict.NO_DATA

    def answer(self) -> Answer | None:
        """What a hook said, if one is asked."""
        return None

    # --- time and the world ---------------------------------------------------------------------
    @rule(seconds=st.sampled_from([0.2, 1, 5, 20, 90, -3, 3600, -3600]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(up=st.booleans())
    def the_candidate_dies_or_returns(self, up: bool) -> None:
        self.candidate = (
            ready(restarts=self.candidate.restarts)
            if up
            else replace(DOWN, restarts=self.candidate.restarts + 1)
        )

    @rule(cluster=st.booleans(), router=st.booleans(), obeys=st.booleans())
    def the_world_fails_or_recovers(self, cluster: bool, router: bool, obeys: bool) -> None:
        self.cluster_up, self.router_up, self.router_obeys = cluster, router, obeys

    @rule(verdict=st.sampled_from(Verdict))
    def the_gates_change_their_mind(self, verdict: Verdict) -> None:
        self.verdict = verdict

    @rule(frozen=st.booleans())
    def a_freeze_begins_or_ends(self, frozen: bool) -> None:
        self.frozen = frozen

    # --- the tick -------------------------------------------------------------------------------
    @rule()
    def tick(self) -> None:
        window = window_due(self.row, self.now)
        look = judgement(self.verdict) if window else None
        world = World(
            workloads={STABLE: ready(), CANDIDATE: self.candidate} if self.cluster_up else {},
            weights=self.weights if self.router_up else None,
            mirror=self.mirror if self.router_up else {},
            preview=self.preview if self.router_up else None,
            cluster_known=self.cluster_up,
            router_known=self.router_up,
        )
        votes = self.votes if isinstance(self.row.current, Approve) else ()
        freeze = FROZEN if self.frozen else None
        seen = Observation(world, look, votes=votes, freeze=freeze, answer=self.answer())
        before = self.row
        self._take(decide(before, seen, self.now))
        if self.row.phase not in TERMINAL:
            assert in_its_time(self.row, self.now) == self.row, "a wait for a moment that a wrong clock wrote"
        if self.frozen and not before.override and not before.unready_since:
            assert self.row.weight <= before.weight, "a share grew during a freeze"
        if look and look.verdict is Verdict.FAIL:
            assert self.row.phase is Phase.ROLLING_BACK or self.row.phase in TERMINAL - {Phase.SUCCEEDED}
        self._apply()

    def _apply(self) -> None:
        if self.router_up and self.router_obeys:
            route = self.desired.route
            self.weights, self.mirror = dict(route.split), dict(route.mirror)
            self.preview = route.preview[-1] if route.preview else None

    @property
    def desired(self):
        first, second = (ReleaseSpec(version=v, digest=v, replicas=1) for v in (STABLE, CANDIDATE))
        if self.promoted:
            return desired_world(EndpointState("e", "m", 1, stable=second, previous=first), None)
        if self.row.phase in TERMINAL:
            return desired_world(EndpointState("e", "m", 1, stable=first), None)
        return desired_world(EndpointState("e", "m", 1, stable=first, candidate=second), self.row)

    # --- people ---------------------------------------------------------------------------------
    @rule(verb=st.sampled_from([commands.pause, commands.resume, commands.promote]))
    def somebody_clicks(self, verb) -> None:
        try:
            self._take(verb(self.row, "a click", self.now))
        except WrongPhase:
            return

    @precondition(lambda self: isinstance(self.row.current, Approve))
    @rule(approve=st.booleans(), bound=st.booleans())
    def somebody_votes(self, approve: bool, bound: bool) -> None:
        """Sometimes on another plan than the one that runs; such a vote counts for nothing."""
        plan_digest = self.row.plan_digest if bound else "another plan"
        vote = Vote(f"voter {next(self.voters)}", approve, "as I see it", self.row.digest, plan_digest)
        self.votes = (*self.votes, vote)

    @precondition(lambda self: self.row.phase in commands.WALKED and not self.row.override)
    @rule()
    def somebody_breaks_the_glass(self) -> None:
        self._take(commands.break_glass(self.row, "an emergency", self.now))

    @precondition(lambda self: self.row.phase in commands.ABORTABLE)
    @rule(verb=st.sampled_from([commands.abort, commands.supersede]))
    def somebody_aborts(self, verb) -> None:
        self._take(verb(self.row, "stop", self.now))
        self.aborted = True

    def _take(self, decision: Decision) -> None:
        before, after = self.row, decision.snapshot
        assert may_move(before.phase, after.phase)
        for event in decision.events:
            assert event.reason
            assert (event.from_phase, event.to_phase) == (before.phase, after.phase)
        if (before.phase, before.step, before.weight) != (after.phase, after.step, after.weight):
            assert decision.events, "a visible change without an entry in the timeline"
        if after.phase is Phase.PROMOTING and before.phase is not Phase.PROMOTING:
            assert before.phase in _BEFORE_PROMOTION
            assert self.row.override or self._approved(), (
                "promoted without the approvals that the plan asks for"
            )
        self.promoted = self.promoted or decision.promoted
        self.row = after

    def _approved(self) -> bool:
        """Whether every approval step of the plan had its votes, from different people and on this plan."""
        asked = [step.count for step in self.row.plan.steps if isinstance(step, Approve)]
        good = [v for v in self.votes if v.approve and v.plan_digest == self.row.plan_digest]
        return len(good) >= max(asked, default=0)

    # --- what must always hold ------------------------------------------------------------------
    @invariant()
    def shares_sum_to_100(self) -> None:
        if hasattr(self, "row"):
            assert sum(weight for _, weight in self.desired.route.split) == 100

    @invariant()
    def abort_always_wins(self) -> None:
        if hasattr(self, "row") and self.aborted:
            assert not self.promoted
            assert self.row.phase is Phase.ROLLING_BACK or self.row.phase in TERMINAL - {Phase.SUCCEEDED}
            assert self.desired.route.split == ((STABLE, 100),)

    @invariant()
    def only_a_promotion_makes_the_candidate_stable(self) -> None:
        if hasattr(self, "row"):
            assert self.promoted == (self.row.phase is Phase.SUCCEEDED)

    @invariant()
    def the_stable_servers_are_never_taken_away_during_a_rollout(self) -> None:
        if hasattr(self, "row"):
            assert STABLE in {release.version for release in self.desired.releases}

    @invariant()
    def a_candidate_without_a_server_gets_no_traffic(self) -> None:
        if hasattr(self, "row") and self.row.unready_since and self.row.phase not in TERMINAL:
            assert self.desired.route.split == ((STABLE, 100),)
            assert self.desired.route.preview is None and not self.desired.route.mirror

    @invariant()
    def a_plan_that_does_not_promote_never_does(self) -> None:
        if hasattr(self, "row") and not self.row.plan.promotes:
            assert not self.promoted and self.row.phase is not Phase.PROMOTING

    @invariant()
    def every_wait_has_a_reason(self) -> None:
        if hasattr(self, "row") and self.row.phase in {Phase.HOLDING, Phase.PAUSED}:
            assert self.row.reason


def _part(number: int) -> type[Any]:
    """One part of the histories, as a test of its own."""
    histories = type(f"Histories{number}", (Histories,), {})
    histories.TestCase.settings = settings(
        max_examples=HISTORIES // PARTS,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=(Part.generate, Part.shrink),
    )
    return histories.TestCase


globals().update({f"TestHistories{number}": _part(number) for number in range(PARTS)})


def test_a_healthy_rollout_always_ends_promoted():
    row, now, weights = snapshot(0, Phase.PENDING, exposed_at=None), NOON, {STABLE: 100}
    for _ in range(400):
        now += timedelta(seconds=1)
        look = judgement(Verdict.PASS) if window_due(row, now) else None
        world = World({STABLE: ready(), CANDIDATE: ready()}, weights)
        decision = decide(row, Observation(world, look), now)
        row = decision.snapshot
        weights = {CANDIDATE: row.weight, STABLE: 100 - row.weight}
        if row.phase in TERMINAL:
            break
    assert row.phase is Phase.SUCCEEDED
    assert now - NOON < timedelta(seconds=row.plan.least_seconds + 30)
