"""Steps and plans: what a strategy compiles to and what the machine walks.

A plan is a value. It is frozen into the rollout's row as JSON when the rollout starts, so that what
runs is what was previewed and approved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from rollouts.domain.fields import number, only_known, whole
from rollouts.errors import InvalidPlan

YEAR = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Provision:
    """Start the candidate's servers and wait until `replicas` of them are ready (warm-up included)."""

    kind: ClassVar[str] = "provision"
    replicas: int = 1

    def describe(self) -> str:
        return f"start {self.replicas} server{'s' if self.replicas > 1 else ''} of the candidate, warmed up"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copy `percent` of the traffic to the candidate; its answers are measured and thrown away."""

    kind: ClassVar[str] = "mirror"
    percent: int = 0

    def describe(self) -> str:
        return (
            f"mirror {self.percent} % of the traffic to the candidate" if self.percent else "stop mirroring"
        )


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Send `percent` of the traffic to the candidate; done when the router was seen to do it."""

    kind: ClassVar[str] = "set_weight"
    percent: int = 0

    def describe(self) -> str:
        return f"send {self.percent} % of the traffic to the candidate"


@dataclass(frozen=True, slots=True)
class Hold:
    """Let time pass; the gates are looked at all the while and a failed one rolls back."""

    kind: ClassVar[str] = "hold"
    seconds: float = 0

    def describe(self) -> str:
        return f"hold for {duration(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Analyse:
    """Watch the gates for `seconds`; go on only when they pass with enough data."""

    kind: ClassVar[str] = "analyse"
    seconds: float = 0

    def describe(self) -> str:
        return f"analyse for at least {duration(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Promote:
    """Send all traffic to the candidate and make it the endpoint's stable version."""

    kind: ClassVar[str] = "promote"

    def describe(self) -> str:
        return "send all traffic to the candidate and make it the stable version"


@dataclass(frozen=True, slots=True)
class Retire:
    """Keep the old version warm for `seconds` after the promotion, then remove its servers."""

    kind: ClassVar[str] = "retire"
    seconds: float = 0

    def describe(self) -> str:
        return f"keep the previous version warm for {duration(self.seconds)}, then remove it"


Step = Provision | Mirror | SetWeight | Hold | Analyse | Promote | Retire
STEPS: dict[str, type[Step]] = {
    step.kind: step for step in (Provision, Mirror, SetWeight, Hold, Analyse, Promote, Retire)
}
_LIMITS: dict[tuple[str, str], tuple[int, int]] = {
    ("provision", "replicas"): (1, 1000),
    ("mirror", "percent"): (0, 100),
    ("set_weight", "percent"): (1, 100),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order and what holds for the whole walk (all durations in seconds).

    interval: between two looks at the gates. gates: specifications that `monitoring` parses.
    deadline: how long an undecided analysis may hold before a person is asked.
    ready_within: how long the candidate may take to become ready.
    max_restarts: how often the candidate's servers may crash before it is rolled back.
    """

    steps: tuple[Step, ...]
    gates: tuple[Mapping[str, Any], ...] = ()
    interval: float = 60
    deadline: float = 3600
    ready_within: float = 600
    max_restarts: int = 3

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

    @property
    def replicas(self) -> int:
        """The candidate's size."""
        return next(step.replicas for step in self.steps if isinstance(step, Provision))

    @property
    def promote_index(self) -> int:
        """Where the Promote step is."""
        return next(index for index, step in enumerate(self.steps) if isinstance(step, Promote))

    @property
    def retire_after(self) -> float:
        """Seconds that the previous version stays warm."""
        return next((step.seconds for step in self.steps if isinstance(step, Retire)), 0)

    @property
    def least_seconds(self) -> float:
        """The shortest time in which the plan can reach its promotion."""
        return sum(step.seconds for step in self.steps if isinstance(step, Hold | Analyse))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back to an equal plan."""
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        document["steps"] = [{"kind": step.kind, **asdict(step)} for step in self.steps]
        document["gates"] = [dict(gate) for gate in self.gates]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], path: str = "plan.") -> Plan:
        """Parses and validates a whole plan; InvalidPlan names the path of the first bad field."""
        only_known(document, frozenset(field.name for field in fields(cls)), path)
        plan = cls(
            steps=_steps(document.get("steps"), f"{path}steps"),
            gates=tuple(document.get("gates") or ()),
            interval=number(document, "interval", path, default=60, least=1, most=86_400),
            deadline=number(document, "deadline", path, default=3600, least=1, most=YEAR),
            ready_within=number(document, "ready_within", path, default=600, least=1, most=86_400),
            max_restarts=whole(document, "max_restarts", path, default=3, least=0, most=1000),
        )
        check(plan, f"{path}steps")
        return plan


def _steps(source: Any, path: str) -> tuple[Step, ...]:
    if not isinstance(source, Sequence) or isinstance(source, str) or not source:
        raise InvalidPlan("a plan needs a list of steps.", field=path)
    return tuple(_step(item, f"{path}[{index}].") for index, item in enumerate(source))


def _step(item: Any, path: str) -> Step:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    if kind not in STEPS:
        raise InvalidPlan(
            f"{kind!r} is not a kind of step.", field=f"{path}kind", hint=f"Known: {', '.join(STEPS)}."
        )
    shape = STEPS[kind]
    names = [field.name for field in fields(shape)]
    only_known(item, frozenset(["kind", *names]), path)
    values: dict[str, Any] = {}
    for name in names:
        if name == "seconds":
            values[name] = number(item, name, path, default=0, least=0, most=YEAR)
        else:
            least, most = _LIMITS[kind, name]
            values[name] = whole(item, name, path, default=least, least=least, most=most)
    return shape(**values)


def check(plan: Plan, path: str) -> None:
    """Refuses a list of steps that could not be walked safely from first to last."""
    if not isinstance(plan.steps[0], Provision):
        raise InvalidPlan("the first step must be `provision`.", field=f"{path}[0]")
    promotions = [index for index, step in enumerate(plan.steps) if isinstance(step, Promote)]
    if len(promotions) != 1:
        raise InvalidPlan(f"a plan promotes exactly once, this one {len(promotions)} times.", field=path)
    for index, step in enumerate(plan.steps[promotions[0] + 1 :], start=promotions[0] + 1):
        if not isinstance(step, Retire):
            raise InvalidPlan("only `retire` may follow `promote`.", field=f"{path}[{index}]")
    _check_order(plan.steps, path)


def _check_order(steps: tuple[Step, ...], path: str) -> None:
    weight = 0
    exposed = False
    for index, step in enumerate(steps):
        where = f"{path}[{index}]"
        if isinstance(step, Provision) and index:
            raise InvalidPlan("the candidate is provisioned once, at the start.", field=where)
        if isinstance(step, SetWeight):
            if step.percent <= weight:
                raise InvalidPlan(
                    f"weights must rise: {step.percent} follows {weight}.", field=f"{where}.percent"
                )
            weight = step.percent
        exposed = exposed or (isinstance(step, SetWeight | Mirror) and step.percent > 0)
        if isinstance(step, Analyse) and not exposed:
            raise InvalidPlan(
                "nothing to analyse: the candidate has no traffic yet.",
                field=where,
                hint="Put a `set_weight` or a `mirror` step before it.",
            )


def duration(seconds: float) -> str:
    """Seconds as people write them: "45 s", "5 min", "1.5 h"."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"
