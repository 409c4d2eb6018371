"""Who must agree before a rollout goes on, and when nothing may go on: pure functions of recorded facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from registry.domain.findings import GATING
from rollouts.domain.fields import flag, number, only_known, text, whole
from rollouts.domain.hooks import HookRequest, parse_hooks, with_hooks
from rollouts.domain.plan import YEAR, Approve, Hook, Plan
from rollouts.errors import InvalidPlan

Moment = Literal["start", "promotion"]
_KNOWN = frozenset({"approvals", "four_eyes", "after", "parity", "without", "hooks"})
MOMENTS: tuple[Moment, ...] = ("start", "promotion")


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer to an approval step, bound to what was approved."""

    voter: str
    approve: bool
    comment: str
    digest: str
    plan_digest: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the votes add up to; votes for another digest or plan count for nothing."""

    approvals: int
    refusal: Vote | None


def tally(votes: Iterable[Vote], *, digest: str, plan_digest: str) -> Tally:
    """Counts the votes that are bound to exactly this artifact and this plan."""
    bound = [vote for vote in votes if vote.digest == digest and vote.plan_digest == plan_digest]
    return Tally(
        approvals=len({vote.voter for vote in bound if vote.approve}),
        refusal=next((vote for vote in bound if not vote.approve), None),
    )


@dataclass(frozen=True, slots=True)
class Requirement:
    """`count` members of `group` must approve before the given moment."""

    before: Moment
    count: int = 1
    group: str = "release_manager"
    seconds: float = 86_400

    @property
    def step(self) -> Approve:
        """The requirement as a step of a plan."""
        return Approve(count=self.count, group=self.group, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Policy:
    """What an environment asks of its rollouts.

    four_eyes: nobody approves a rollout of their own. after: the name of an environment in which the same
    artifact must have succeeded before. parity: a version must give the answers shipped with its reference
    set, or it does not start. without: findings of its inspection with which a version does not start, of
    `registry.domain.findings.GATING`. hooks: who is asked and told, beside what a plan asks for itself.
    """

    approvals: tuple[Requirement, ...] = ()
    four_eyes: bool = True
    after: str = ""
    parity: bool = False
    without: tuple[str, ...] = ()
    hooks: tuple[HookRequest, ...] = ()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], path: str = "policy.") -> Policy:
        """Parses a policy; InvalidPlan names the path of the first bad field."""
        only_known(document, _KNOWN, path)
        given = document.get("approvals", [])
        if not isinstance(given, list):
            raise InvalidPlan("not a list.", field=f"{path}approvals")
        return cls(
            approvals=tuple(_requirement(item, f"{path}approvals[{at}].") for at, item in enumerate(given)),
            four_eyes=flag(document, "four_eyes", path, default=True),
            after=text(document, "after", path, default="", pattern=r"[a-z0-9-]{0,63}"),
            parity=flag(document, "parity", path, default=False),
            without=_codes(document.get("without", []), f"{path}without"),
            hooks=parse_hooks(document.get("hooks"), f"{path}hooks"),
        )


def _codes(given: Any, path: str) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise InvalidPlan("not a list.", field=path)
    for at, code in enumerate(given):
        if not isinstance(code, str) or code not in GATING:
            known = ", ".join(GATING)
            raise InvalidPlan("there is no such finding.", field=f"{path}[{at}]", hint=f"Known: {known}.")
    return tuple(dict.fromkeys(given))


def _requirement(item: Any, path: str) -> Requirement:
    if not isinstance(item, Mapping) or item.get("before") not in MOMENTS:
        raise InvalidPlan(f"must be one of {', '.join(MOMENTS)}.", field=f"{path}before")
    only_known(item, frozenset({"before", "count", "group", "seconds"}), path)
    return Requirement(
        before=item["before"],
        count=whole(item, "count", path, default=1, least=1, most=20),
        group=text(item, "group", path, default="release_manager", pattern=r"[a-z0-9_-]{1,64}"),
        seconds=number(item, "seconds", path, default=86_400, least=1, most=YEAR),
    )


def apply_policy(plan: Plan, policy: Policy) -> Plan:
    """The plan with the approvals and the hooks that the environment asks for, where it asks for them.

    "promotion" is the step that gives the candidate all traffic, whichever kind it is. Hooks are asked after
    people, directly before the traffic moves, so that their answer is fresh.
    """
    asked = {moment: [n.step for n in policy.approvals if n.before == moment] for moment in MOMENTS}
    switch = next((at for at in range(len(plan.steps)) if plan.weight_at(at) == 100), len(plan.steps))
    if switch == len(plan.steps):
        asked["promotion"] = []
    while switch and isinstance(plan.steps[switch - 1], Hook):
        switch -= 1
    asking = replace(
        plan,
        steps=(*plan.steps[:switch], *asked["promotion"], *plan.steps[switch:]),
    )
    hooked = with_hooks(asking, policy.hooks)
    return replace(hooked, steps=(*asked["start"], *hooked.steps))


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze in force: until when, and why."""

    until: datetime
    reason: str

    def __str__(self) -> str:
        return f"frozen until {self.until:%Y-%m-%d %H:%M %Z}: {self.reason}"
