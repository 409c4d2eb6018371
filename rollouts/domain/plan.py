"""Plans: what a strategy compiles to and what the machine walks.

A plan is a value. It is frozen into the rollout's row as JSON when the rollout starts, so that what
runs is what was previewed and approved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rollouts.domain.fields import number, only_known, switch, text, whole
from rollouts.domain.steps import (
    KEY_NAME,
    YEAR,
    Analyse,
    Approve,
    Arm,
    Conclude,
    Experiment,
    Hold,
    Hook,
    Mirror,
    Preview,
    Promote,
    Provision,
    Retire,
    SetWeight,
    Step,
    duration,
    parse_step,
)
from rollouts.errors import InvalidPlan

__all__ = [
    "YEAR",
    "Analyse",
    "Approve",
    "Arm",
    "Conclude",
    "Experiment",
    "Hold",
    "Hook",
    "Mirror",
    "Plan",
    "Preview",
    "Promote",
    "Provision",
    "Retire",
    "SetWeight",
    "Step",
    "check",
    "duration",
]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order and what holds for the whole walk (all durations in seconds).

    interval: between two looks at the gates. gates: specifications that `monitoring` parses.
    deadline: how long an undecided analysis may hold before a person is asked.
    ready_within: how long the candidate may take to become ready.
    max_restarts: how often the candidate's servers may crash before it is rolled back.
    sticky: {"header": name} or {"cookie": name} whose value decides which version a user meets; None: the
    router's own. hooks: which hooks are told of a rollback or of the end; those that are asked are steps.
    no_surge: the candidate's servers take the place of as many stable ones.
    """

    steps: tuple[Step, ...]
    gates: tuple[Mapping[str, Any], ...] = ()
    interval: float = 60
    deadline: float = 3600
    ready_within: float = 600
    max_restarts: int = 3
    sticky: Mapping[str, str] | None = None
    hooks: tuple[Mapping[str, Any], ...] = ()
    no_surge: bool = False

    def weight_at(self, index: int) -> int:
        """Candidate's share in percent while the step at `index` runs (that step included)."""
        weight = 0
        for step in self.steps[: index + 1]:
            if isinstance(step, SetWeight):
                weight = step.percent
            elif isinstance(step, Promote):
                weight = 100
        return weight

    def mirror_at(self, index: int) -> int:
        """Mirrored share in percent while the step at `index` runs."""
        percents = [step.percent for step in self.steps[: index + 1] if isinstance(step, Mirror)]
        return percents[-1] if percents and self.weight_at(index) < 100 else 0

    def match_at(self, index: int) -> Preview | Arm | None:
        """Which requests reach the candidate whatever its share, while the step at `index` runs."""
        matches = [step for step in self.steps[: index + 1] if isinstance(step, Preview | Arm)]
        return matches[-1] if matches and not self.weight_at(index) else None

    def exposure_at(self, index: int) -> tuple[int, int, bool]:
        """Share, mirrored share, and whether an arm of an experiment is open: who meets the candidate."""
        return self.weight_at(index), self.mirror_at(index), isinstance(self.match_at(index), Arm)

    @property
    def replicas(self) -> int:
        """The candidate's size."""
        return next(step.replicas for step in self.steps if isinstance(step, Provision))

    @property
    def promotes(self) -> bool:
        """Whether the plan ends with a promotion; a shadow or an A/B test does not."""
        return any(isinstance(step, Promote) for step in self.steps)

    def shortcut(self, index: int) -> int:
        """Where a promotion by hand jumps to: whoever is still to be asked about it, else the promotion.

        An answer that the present step waits for is not skipped.
        """
        return next(at for at, step in enumerate(self.steps) if at >= index and _guards_promotion(step))

    @property
    def retire_after(self) -> float:
        """Seconds that the previous version stays warm."""
        return next((step.seconds for step in self.steps if isinstance(step, Retire)), 0)

    @property
    def windows(self) -> int:
        """In how many stretches of constant share the candidate is judged: the budget of false alarms is
        divided among them."""
        shares = [self.exposure_at(index) for index in range(len(self.steps))]
        return max(1, sum(1 for at, share in enumerate(shares) if any(share) and share != shares[at - 1]))

    @property
    def least_seconds(self) -> float:
        """The shortest time in which the plan can reach its promotion."""
        return sum(step.seconds for step in self.steps if isinstance(step, Hold | Analyse))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back to an equal plan."""
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        document["steps"] = [{"kind": step.kind, **asdict(step)} for step in self.steps]
        document["gates"] = [dict(gate) for gate in self.gates]
        # Absent when not asked for, so that a plan's digest does not depend on settings it does not use.
        return {name: value for name, value in document.items() if name not in _OPTIONAL or value}

    @property
    def digest(self) -> str:
        """SHA-256 of the plan in canonical JSON: what approvals are bound to."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], path: str = "plan.") -> Plan:
        """Parses and validates a whole plan; InvalidPlan names the path of the first bad field."""
        only_known(document, frozenset(field.name for field in fields(cls)), path)
        plan = cls(
            steps=_steps(document.get("steps"), f"{path}steps"),
            gates=_gates(document.get("gates"), f"{path}gates"),
            interval=number(document, "interval", path, default=60, least=1, most=86_400),
            deadline=number(document, "deadline", path, default=3600, least=1, most=YEAR),
            ready_within=number(document, "ready_within", path, default=600, least=1, most=86_400),
            max_restarts=whole(document, "max_restarts", path, default=3, least=0, most=1000),
            sticky=sticky_key(document, "sticky", path),
            hooks=_told(document.get("hooks"), f"{path}hooks"),
            no_surge=switch(document, "no_surge", path),
        )
        check(plan, f"{path}steps")
        return plan


_OPTIONAL = frozenset({"sticky", "hooks", "no_surge"})


def _guards_promotion(step: Step) -> bool:
    asks = isinstance(step, Approve) or (isinstance(step, Hook) and step.before == "promotion")
    return asks or isinstance(step, Promote)


def _told(source: Any, path: str) -> tuple[Mapping[str, Any], ...]:
    """Which hooks are told: `{"name": …, "on": ["rollback", "end"]}` each."""
    if source is None:
        return ()
    fits = isinstance(source, list | tuple) and all(
        isinstance(item, Mapping) and isinstance(item.get("name"), str) and isinstance(item.get("on"), list)
        for item in source
    )
    if not fits:
        raise InvalidPlan("not a list of hooks.", field=path, hint='[{"name": "pager", "on": ["rollback"]}]')
    return tuple(dict(item) for item in source)


def _steps(source: Any, path: str) -> tuple[Step, ...]:
    if not isinstance(source, Sequence) or isinstance(source, str) or not source:
        raise InvalidPlan("a plan needs a list of steps.", field=path)
    return tuple(parse_step(item, f"{path}[{index}].") for index, item in enumerate(source))


def _gates(source: Any, path: str) -> tuple[Mapping[str, Any], ...]:
    """The specifications as they were written; `monitoring` says what is wrong inside one."""
    if source is None:
        return ()
    if not isinstance(source, list | tuple) or not all(isinstance(gate, Mapping) for gate in source):
        raise InvalidPlan("not a list of gates.", field=path, hint='For example [{"kind": "error_rate"}].')
    return tuple(source)


def sticky_key(source: Mapping[str, Any], key: str, path: str) -> Mapping[str, str] | None:
    """The header or the cookie that tells users apart; InvalidPlan for anything else."""
    value = source.get(key)
    if value is None:
        return None
    hint = 'Write {"header": "x-user-id"} or {"cookie": "uid"}.'
    if not isinstance(value, Mapping) or set(value) not in ({"header"}, {"cookie"}):
        raise InvalidPlan(f"{value!r} names neither a header nor a cookie.", field=path + key, hint=hint)
    by = next(iter(value))
    return {by: text(value, by, f"{path}{key}.", default="", pattern=KEY_NAME)}


def check(plan: Plan, path: str) -> None:
    """Refuses a list of steps that could not be walked safely from first to last."""
    first = next((at for at, step in enumerate(plan.steps) if not isinstance(step, Approve | Hook)), 0)
    if not isinstance(plan.steps[first], Provision):
        raise InvalidPlan(
            "the first step, after approvals and hooks, must be `provision`.", field=f"{path}[{first}]"
        )
    ends = [index for index, step in enumerate(plan.steps) if isinstance(step, Promote | Conclude)]
    if len(ends) != 1:
        raise InvalidPlan(
            f"a plan has exactly one `promote` or `conclude`, this one has {len(ends)}.", field=path
        )
    for index, step in enumerate(plan.steps[ends[0] + 1 :], start=ends[0] + 1):
        if not isinstance(step, Retire) or not plan.promotes:
            raise InvalidPlan("only `retire` may follow, and only a promotion.", field=f"{path}[{index}]")
    if not plan.gates and any(isinstance(step, Analyse) for step in plan.steps):
        raise InvalidPlan(
            "an analysis needs at least one gate.",
            field=f"{path.removesuffix('steps')}gates",
            hint='For example [{"kind": "error_rate"}].',
        )
    _check_order(plan.steps, path)


def _check_order(steps: tuple[Step, ...], path: str) -> None:
    weight = 0
    exposed = provisioned = False
    for index, step in enumerate(steps):
        where = f"{path}[{index}]"
        if isinstance(step, Provision):
            if provisioned:
                raise InvalidPlan("the candidate is provisioned once, at the start.", field=where)
            provisioned = True
        if isinstance(step, SetWeight):
            if step.percent <= weight:
                raise InvalidPlan(
                    f"weights must rise: {step.percent} follows {weight}.", field=f"{where}.percent"
                )
            weight = step.percent
        exposed = (
            exposed or isinstance(step, Arm) or (isinstance(step, SetWeight | Mirror) and step.percent > 0)
        )
        if isinstance(step, Analyse) and not exposed:
            raise InvalidPlan(
                "nothing to analyse: the candidate has no traffic yet.",
                field=where,
                hint="Put a `set_weight`, a `mirror` or an `arm` step before it.",
            )
