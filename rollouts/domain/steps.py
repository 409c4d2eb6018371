"""Steps: what a plan is made of, and how each is read from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from rollouts.domain.fields import number, only_known, text, whole
from rollouts.errors import InvalidPlan

YEAR = 366 * 86_400


def duration(seconds: float) -> str:
    """Seconds as people write them: "45 s", "5 min", "1.5 h"."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"


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
class Experiment(Analyse):
    """Compare the candidate with the stable version for `seconds`; then people decide on what was measured.

    A violated gate ends it at once. Otherwise it lasts its time, and ends also when no difference was found.
    """

    kind: ClassVar[str] = "experiment"

    def describe(self) -> str:
        return f"compare both versions for {duration(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Arm:
    """Send requests whose header or cookie `name` is `value` to the candidate: one arm of an experiment.

    It holds until the candidate takes a share of everybody's traffic. Its gates are looked at.
    """

    kind: ClassVar[str] = "arm"
    by: str = "header"
    name: str = "x-slipway-arm"
    value: str = "candidate"

    @property
    def match(self) -> tuple[str, str, str]:
        """What a router compares: where, name, value."""
        return self.by, self.name, self.value

    def describe(self) -> str:
        return f"send requests with the {self.by} {self.name}: {self.value} to the candidate"


@dataclass(frozen=True, slots=True)
class Preview:
    """Send requests that carry `header: value` to the candidate, so that testers meet it before users do.

    It holds until the candidate takes a share of everybody's traffic.
    """

    kind: ClassVar[str] = "preview"
    header: str = "x-slipway-version"
    value: str = "preview"

    @property
    def match(self) -> tuple[str, str, str]:
        """What a router compares: where, name, value."""
        return "header", self.header, self.value

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
class Hook:
    """Ask the hook `name` and go on when it says yes.

    A refusal holds for a person or rolls back, as `refusal` says; no answer within `seconds` asks a person.
    before: `start`, `increase` or `promotion`, the moment that it is asked about.
    """

    kind: ClassVar[str] = "hook"
    name: str = ""
    before: str = "increase"
    refusal: str = "hold"
    seconds: float = 600

    def describe(self) -> str:
        refused = "roll back" if self.refusal == "roll_back" else "wait for a person"
        return f"ask the hook {self.name} for up to {duration(self.seconds)}; if it refuses, {refused}"


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


Step = (
    Hook
    | Approve
    | Provision
    | Preview
    | Arm
    | Mirror
    | SetWeight
    | Hold
    | Analyse
    | Promote
    | Retire
    | Conclude
)
STEPS: dict[str, type[Step]] = {
    step.kind: step
    for step in (
        Approve, Hook, Provision, Preview, Arm, Mirror, SetWeight, Hold, Analyse, Experiment, Promote, Retire,
        Conclude,
    )
}  # fmt: skip
# The name of a header or of a cookie, in lower case as HTTP/2 writes headers.
KEY_NAME = r"[a-z0-9_-]{1,64}"
# What a cookie may hold (RFC 6265): no quotes, commas, semicolons or backslashes.
ARM_VALUE = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,128}"
# The name of a hook, what it may be asked about, and what a refusal may lead to.
HOOK_NAME = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOOK_MOMENTS = r"start|increase|promotion"
REFUSALS = r"hold|roll_back"
_WHOLE: dict[tuple[str, str], tuple[int, int]] = {
    ("provision", "replicas"): (1, 1000),
    ("mirror", "percent"): (0, 100),
    ("set_weight", "percent"): (1, 100),
    ("approve", "count"): (1, 20),
}
_TEXT: dict[tuple[str, str], str] = {
    ("preview", "header"): r"[a-z0-9-]{1,64}",
    ("preview", "value"): r"[\x21-\x7e]{1,128}",
    ("arm", "by"): r"header|cookie",
    ("arm", "name"): KEY_NAME,
    ("arm", "value"): ARM_VALUE,
    ("approve", "group"): r"[a-z0-9_-]{1,64}",
    ("hook", "name"): HOOK_NAME,
    ("hook", "before"): HOOK_MOMENTS,
    ("hook", "refusal"): REFUSALS,
}


def parse_step(item: Any, path: str) -> Step:
    """One step; InvalidPlan names the path of its bad field."""
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
    if (kind, name) == ("hook", "name") and not item.get(name):
        raise InvalidPlan("a hook has a name.", field=path + name)
    if (kind, name) in _TEXT:
        return text(item, name, path, default=getattr(shape(), name), pattern=_TEXT[kind, name])
    least, most = _WHOLE[kind, name]
    return whole(item, name, path, default=max(least, getattr(shape(), name)), least=least, most=most)
