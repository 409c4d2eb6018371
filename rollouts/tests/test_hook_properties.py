"""Random histories of hooks: their answers come at any time, late, twice, or to another question."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from rollouts.domain.hooks import Answer
from rollouts.domain.plan import Hook
from rollouts.domain.snapshot import Decision
from rollouts.tests.cast import plan
from rollouts.tests.test_properties import Histories

HOOKS = [
    {"name": "gate", "on": ["start", "promotion"], "seconds": 30},
    {"name": "load-test", "on": ["increase"], "refusal": "roll_back"},
]
PLANS = (plan(hooks=HOOKS), plan(mirror_percent=20, hooks=HOOKS), plan(steps=[50], hooks=HOOKS))


class HookHistories(Histories):
    """One rollout whose plan asks at every moment."""

    @initialize(walked=st.sampled_from(PLANS))
    def begin(self, walked) -> None:
        self.said: Answer | None = None
        self.allowed: set[int] = set()
        self.skipped = False
        super().begin(walked)

    @rule(allowed=st.sampled_from([True, True, True, False, None]))
    def the_hook_answers(self, allowed: bool | None) -> None:
        self.said = Answer(self.row.step, self.row.step_started_at, allowed, "because")

    @rule(step=st.integers(0, 14), late=st.sampled_from([0, 7]))
    def an_answer_to_another_question_comes(self, step: int, late: int) -> None:
        began = self.row.step_started_at - timedelta(seconds=late)
        if (step, began) != (self.row.step, self.row.step_started_at):
            self.said = Answer(step, began, True, "yes to something else")

    def answer(self) -> Answer | None:
        said = self.said
        if said and said.allowed and (said.step, said.asked_at) == (self.row.step, self.row.step_started_at):
            self.allowed.add(said.step)
        return said

    def _take(self, decision: Decision) -> None:
        self.skipped = self.skipped or decision.snapshot.step > self.row.step + 1
        super()._take(decision)

    @invariant()
    def nothing_passes_a_hook_that_did_not_say_yes(self) -> None:
        """Somebody who promotes by hand skips increases, and only them; broken glass skips what is left."""
        if not hasattr(self, "row") or self.row.override:
            return
        for index, step in enumerate(self.row.plan.steps):
            passed = isinstance(step, Hook) and self.row.step > index
            if passed and (step.before != "increase" or not self.skipped):
                assert index in self.allowed, f"{step} was passed without a yes"


HookHistories.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None, database=None
)
TestHookHistories = HookHistories.TestCase
