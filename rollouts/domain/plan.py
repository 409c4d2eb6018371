"""Steps and plans: what a strategy compiles to and what the machine walks.

A plan is a value. It is frozen into the rollout's row as JSON when the rollout starts, so that what
runs is what was previewed and approved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from rollouts.domain.fields import number, only_known, text, whole
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
class Preview:
    """Send requests that carry `header: value` to the candidate, so that testers meet it before users do.

    It holds until the candidate takes a share of everybody's traffic.
    """

    kind: ClassVar[str] = "preview"
    header: str = "x-slipway-version"
    value: str = "preview"

    def describe(self) -> str:
        return f"let testers reach the candidate with the header {self.header}: {self.value}"


@dataclass(frozen=True, slots=True)
class Approve:
    """Wait for `count` approvals by members of `group`; a refusal, or `seconds` without them, ends it."""

    kind: ClassVar[str] = "approve"
    count: int = 1
    group: str = "release_manager"
    seconds: float = 86_400

    def describe(self) -> str:
        people = f"{self.count} approval{'s' if self.count > 1 else ''}"
        return f"wait up to {duration(self.seconds)} for {people} by a {self.group.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Conclude:
    """End here: the candidate's traffic goes back, what was measured stays with the version."""

    kind: ClassVar[str] = "conclude"

    def describe(self) -> str:
        return "end without a promotion; keep what was measured"


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


Step = Approve | Provision | Preview | Mirror | SetWeight | Hold | Analyse | Promote | Retire | Conclude
STEPS: dict[str, type[Step]] = {
    step.kind: step
    for step in (
        Approve, Provision, Preview, Mirror, SetWeight, Hold, Analyse, Promote, Retire, Conclude,
    )
}  # fmt: skip
_WHOLE: dict[tuple[str, str], tuple[int, int]] = {
    ("provision", "replicas"): (1, 1000),
    ("mirror", "percent"): (0, 100),
    ("set_weight", "percent"): (1, 100),
    ("approve", "count"): (1, 20),
}
_TEXT: dict[tuple[str, str], str] = {
    ("preview", "header"): r"[a-z0-9-]{1,64}",
    ("preview", "value"): r"[\x21-\x7e]{1,128}",
    ("approve", "group"): r"[a-z0-9_-]{1,64}",
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

    def preview_at(self, index: int) -> Preview | None:
        """How testers reach the candidate while the step at `index` runs."""
        previews = [step for step in self.steps[: index + 1] if isinstance(step, Preview)]
        return previews[-1] if previews and not self.weight_at(index) else None

    @property
    def replicas(self) -> int:
        """The candidate's size."""
        return next(step.replicas for step in self.steps if isinstance(step, Provision))

    @property
    def promotes(self) -> bool:
        """Whether the plan ends with a promotion; a shadow or an A/B test does not."""
        return any(isinstance(step, Promote) for step in self.steps)

    def shortcut(self, index: int) -> int:
        """Where a promotion by hand jumps to: the next approval if one is left, else the promotion."""
        return next(
            at for at, step in enumerate(self.steps) if at > index and isinstance(step, Approve | Promote)
        )

    @property
    def retire_after(self) -> float:
        """Seconds that the previous version stays warm."""
        return next((step.seconds for step in self.steps if isinstance(step, Retire)), 0)

    @property
    def windows(self) -> int:
        """In how many stretches of constant share the candidate is judged: the budget of false alarms is
        divided among them."""
        shares = [(self.weight_at(index), self.mirror_at(index)) for index in range(len(self.steps))]
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
        return document

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
        )
        check(plan, f"{path}steps")
        return plan


def _steps(source: Any, path: str) -> tuple[Step, ...]:
    if not isinstance(source, Sequence) or isinstance(source, str) or not source:
        raise InvalidPlan("a plan needs a list of steps.", field=path)
    return tuple(_step(item, f"{path}[{index}].") for index, item in enumerate(source))


def _gates(source: Any, path: str) -> tuple[Mapping[str, Any], ...]:
    """The specifications as they were written; `monitoring` says what is wrong inside one."""
    if source is None:
        return ()
    if not isinstance(source, list | tuple) or not all(isinstance(gate, Mapping) for gate in source):
        raise InvalidPlan("not a list of gates.", field=path, hint='For example [{"kind": "error_rate"}].')
    return tuple(source)


def _step(item: Any, path: str) -> Step:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    if kind not in STEPS:
        raise InvalidPlan(
            f"{kind!r} is not a kind of step.", field=f"{path}kind", hint=f"Known: {', '.join(STEPS)}."
        )
    shape = STEPS[kind]
    names = [field.name for field in fields(shape)]
    only_known(item, frozenset(["kind", *names]), path)
    return shape(**{name: _value(shape, kind, name, item, path) for name in names})


def _value(shape: type[Step], kind: str, name: str, item: Mapping[str, Any], path: str) -> Any:
    if name == "seconds":
        return number(item, name, path, default=float(getattr(shape(), name)), least=0, most=YEAR)
    if (kind, name) in _TEXT:
        return text(item, name, path, default=getattr(shape(), name), pattern=_TEXT[kind, name])
    least, most = _WHOLE[kind, name]
    return whole(item, name, path, default=max(least, getattr(shape(), name)), least=least, most=most)


def check(plan: Plan, path: str) -> None:
    """Refuses a list of steps that could not be walked safely from first to last."""
    first = next((index for index, step in enumerate(plan.steps) if not isinstance(step, Approve)), 0)
    if not isinstance(plan.steps[first], Provision):
        raise InvalidPlan("the first step, after approvals, must be `provision`.", field=f"{path}[{first}]")
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
