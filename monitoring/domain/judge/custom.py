"""Gate on any PromQL that yields one number, or on two of them compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from string import Template
from typing import Any, ClassVar, Self

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge import sustained
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.sustained import Lasting, Limits
from monitoring.domain.judge.verdict import GateResult

PLACEHOLDERS = ("candidate", "endpoint", "stable", "window")
LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class CustomGate:
    """Fails when the figure was above `max` or below `min` at every reading of the last `for_seconds`.

    The figure is what `query` yields; with `reference`, another query, their ratio or difference as
    `compare` says. In both `$endpoint`, `$candidate`, `$stable` and `$window` (a duration) are filled in.
    """

    kind: ClassVar[str] = "custom"
    query: str
    name: str = "custom"
    reference: str | None = None
    compare: str = "ratio"
    max: float | None = None
    min: float | None = None
    for_seconds: int = 60
    step_seconds: int = 15

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        lasting = Lasting.parse(fields, 60, 15)
        gate = cls(
            name=fields.text("name", cls.kind),
            query=_query(fields, "query"),
            reference=None if fields.absent("reference") else _query(fields, "reference"),
            compare=fields.choice("compare", "ratio", ("ratio", "difference")),
            max=fields.optional_number("max", None, -1e300, 1e300),
            min=fields.optional_number("min", None, -1e300, 1e300),
            for_seconds=lasting.for_seconds,
            step_seconds=lasting.step_seconds,
        )
        if gate.max is None and gate.min is None:
            raise fields.invalid("max", "A custom gate needs max, min or both.")
        return gate

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @property
    def lasting(self) -> Lasting:
        return Lasting(self.for_seconds, self.step_seconds)

    def needs_stable(self) -> bool:
        return any("stable" in Template(text).get_identifiers() for text in self.queries)

    @property
    def queries(self) -> tuple[str, ...]:
        return (self.query,) if self.reference is None else (self.query, self.reference)


def filled(query: str, values: Mapping[str, str]) -> str:
    """The query with its placeholders replaced; values are escaped for the inside of a quoted string."""
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, value in values.items()
    }
    return Template(query).substitute(escaped)


def judge(gate: CustomGate, value: FloatArray, reference: FloatArray | None) -> GateResult:
    """Judge the readings of the query, and of the one it is compared with, both of shape (T,)."""
    figure, what = value, "the query yields"
    if reference is not None and gate.compare == "ratio":
        figure, what = np.full(len(value), np.nan), "the ratio of the queries is"
        np.divide(value, reference, out=figure, where=reference != 0)
    elif reference is not None:
        figure, what = value - reference, "the difference of the queries is"
    limits = Limits(gate.min, gate.max)
    return sustained.judge(gate.name, gate.kind, what, {"": figure}, limits, gate.lasting)


def _query(fields: Fields, name: str) -> str:
    text = fields.long_text(name, LONGEST)
    template = Template(text)
    unknown = sorted(set(template.get_identifiers()) - set(PLACEHOLDERS)) if template.is_valid() else ["$"]
    if unknown:
        hint = f"Known: {', '.join('$' + item for item in PLACEHOLDERS)}; write $$ for a dollar sign."
        raise fields.invalid(name, f"The placeholder {unknown[0]!r} is not known.", hint)
    return text
