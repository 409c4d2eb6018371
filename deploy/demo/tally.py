"""What the traffic generator counted, per endpoint and version, and the file it tells others in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from deploy.files import write_json

FILE = "demo-traffic.json"
# The gateway itself answered (or nobody did): no version can be blamed.
NO_VERSION = "none"
DETAIL_LENGTH = 300

Task = Literal["regression", "classification"]


@dataclass
class FirstBad:
    """The first bad answer: Unix time in seconds, HTTP status or the kind of failure, what was said."""

    at: float
    code: str
    detail: str


@dataclass
class VersionTally:
    """Answers of one version. `loss` sums squared errors (regression) or mistakes (classification)."""

    ok: int = 0
    failed: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None
    first_bad: FirstBad | None = None
    labelled: int = 0
    loss: float = 0.0

    def answered(self, code: str, at: float) -> None:
        """Count one answer, good or bad, that arrived at `at`."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.first_at = self.first_at or at
        self.last_at = at

    def bad(self, code: str, at: float, detail: str) -> None:
        self.failed += 1
        self.first_bad = self.first_bad or FirstBad(at, code, detail[:DETAIL_LENGTH])

    def good(self, loss: float) -> None:
        self.ok += 1
        self.labelled += 1
        self.loss += loss


@dataclass
class EndpointTally:
    """Requests of one endpoint; `skipped` were due but not sent because too many were unanswered."""

    task: Task
    sent: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    versions: dict[str, VersionTally] = field(default_factory=dict)

    def succeeded(self, version: str, code: str, at: float, predicted: float, label: float) -> None:
        """A 2xx answer whose prediction can be compared with the label."""
        self.ok += 1
        tally = self._version(version, code, at)
        tally.good(loss(self.task, predicted, label))

    def went_wrong(self, version: str, code: str, at: float, detail: str) -> None:
        """Any other answer, or none."""
        self.failed += 1
        self._version(version, code, at).bad(code, at, detail)

    def _version(self, version: str, code: str, at: float) -> VersionTally:
        tally = self.versions.setdefault(version, VersionTally())
        tally.answered(code, at)
        return tally

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the live quality of each version beside its counters."""
        document = asdict(self)
        for name, tally in self.versions.items():
            document["versions"][name]["quality"] = quality(self.task, tally)
        return document

    @classmethod
    def from_dict(cls, task: Task, document: Mapping[str, Any]) -> EndpointTally:
        """The counters as written by `to_dict`; a new tally if the document is not one."""
        try:
            counters = {name: int(document[name]) for name in ("sent", "ok", "failed", "skipped")}
            versions = {name: _version(item) for name, item in document["versions"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(task)
        return cls(task, **counters, versions=versions)


def _version(document: Mapping[str, Any]) -> VersionTally:
    values = {key: value for key, value in document.items() if key != "quality"}
    first_bad = values.pop("first_bad")
    return VersionTally(**values, first_bad=FirstBad(**first_bad) if first_bad else None)


def loss(task: Task, predicted: float, label: float) -> float:
    """Squared error of a regression; 1 for a wrong class at threshold one half, else 0."""
    if task == "regression":
        return (predicted - label) ** 2
    return float((predicted > 0.5) != (label > 0.5))


def quality(task: Task, tally: VersionTally) -> dict[str, float]:
    """`rmse` or `accuracy` over the labelled answers so far; empty before the first."""
    if not tally.labelled:
        return {}
    mean = tally.loss / tally.labelled
    value = {"rmse": math.sqrt(mean)} if task == "regression" else {"accuracy": 1 - mean}
    return {name: round(number, 4) for name, number in value.items()}


def write(path: Path, at: float, gateway: str, endpoints: Mapping[str, EndpointTally]) -> None:
    """Replace the file whole; readers never see half of it."""
    document = {name: tally.to_dict() for name, tally in endpoints.items()}
    write_json(path, {"at": at, "gateway": gateway, "endpoints": document}, mode=0o644)


def read(path: Path) -> dict[str, Any]:
    """The last document written, or one without endpoints when there is none."""
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        document = None
    return document if isinstance(document, dict) else {"at": 0.0, "gateway": "", "endpoints": {}}
