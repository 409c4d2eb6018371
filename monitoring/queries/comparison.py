"""What two versions answered to the same requests, for the doors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.domain.pairs import Comparison, Tolerance, by_segment, compare
from monitoring.domain.window import Window
from monitoring.models import Label, Prediction
from monitoring.samples.pairs import paired


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison of one output over a window, whole and by segment."""

    endpoint: str
    stable: str
    candidate: str
    window: Window
    output: str
    outputs: tuple[str, ...]
    whole: Comparison
    segments: dict[str, Comparison]

    def to_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "stable": self.stable,
            "candidate": self.candidate,
            "window": self.window.to_dict(),
            "output": self.output,
            "outputs": list(self.outputs),
            **self.whole.to_dict(),
            "segments": [{"segment": name, **item.to_dict()} for name, item in self.segments.items()],
        }


def comparison(
    endpoint: str,
    stable: str,
    candidate: str,
    window: Window,
    *,
    output: str | None,
    tolerance: Tolerance,
) -> Compared:
    """Every request of the window that both versions answered; one query."""
    found = paired(endpoint, stable, candidate, window, output=output)
    return Compared(
        endpoint=endpoint, stable=stable, candidate=candidate, window=window, output=found.output,
        outputs=found.outputs, whole=compare(found.pairs, tolerance),
        segments=by_segment(found.pairs, tolerance),
    )  # fmt: skip


def answers_to(endpoint: str, request_id: str) -> tuple[Sequence[Prediction], Sequence[Label]]:
    """Everything sampled of one request: each version's answer, and its labels."""
    wanted = {"endpoint": endpoint, "request_id": request_id}
    return (
        list(Prediction.objects.filter(**wanted).order_by("mirrored", "version")),
        list(Label.objects.filter(**wanted).order_by("name", "version")),
    )
