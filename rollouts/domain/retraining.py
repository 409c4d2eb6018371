"""When an endpoint's model is to be trained again, and whether what comes back may be rolled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from rollouts.domain.fields import flag, number, only_known, text, whole
from rollouts.errors import InvalidPlan

NAME = r"[A-Za-z0-9][A-Za-z0-9_.\-/ ]{0,127}"
HOOK = r"[a-z0-9][a-z0-9-]{0,62}"
HIGHER, LOWER = "higher", "lower"
MAX_METRICS = 20


@dataclass(frozen=True, slots=True)
class WantedMetric:
    """A hold-out metric on which a new version must beat the champion and reach `limit`, if there is one."""

    name: str
    better: str = HIGHER
    limit: float | None = None

    def beats(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return value > other if self.better == HIGHER else value < other

    def reaches(self, value: float) -> bool:
        """Whether `value` is at least as good as the limit."""
        if self.limit is None:
            return True
        return value >= self.limit if self.better == HIGHER else value <= self.limit


@dataclass(frozen=True, slots=True)
class QualityFloor:
    """A figure of concept drift that must not be worse than `limit`, over so many labels at least."""

    label: str
    metric: str
    limit: float
    better: str
    min_labels: int


@dataclass(frozen=True, slots=True)
class RetrainingPolicy:
    """What asks for training, and what the version that comes back must show.

    `drift`: the stable version drifted in the last `readings` readings. `quality`: it was below the floor
    in the last `readings` hours with labels. At most `daily_cap` requests in 24 hours, `cooldown_hours`
    apart. `strategy` and `parameters` are those of the rollout.
    """

    enabled: bool = False
    hook: str = ""
    drift: bool = True
    quality: QualityFloor | None = None
    readings: int = 2
    metrics: tuple[WantedMetric, ...] = ()
    strategy: str = "canary"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cooldown_hours: float = 24.0
    daily_cap: int = 1

    @classmethod
    def parse(cls, document: object) -> Self:
        """From JSON; InvalidPlan with the path of the first bad field."""
        if not isinstance(document, Mapping):
            raise InvalidPlan("Expected an object.")
        only_known(document, frozenset(cls.__dataclass_fields__), "")
        parameters = document.get("parameters") or {}
        if not isinstance(parameters, Mapping):
            raise InvalidPlan("Expected an object.", field="parameters")
        policy = cls(
            enabled=flag(document, "enabled", "", default=False),
            hook=text(document, "hook", "", default="", pattern=f"({HOOK})?"),
            drift=flag(document, "drift", "", default=True),
            quality=_quality(document.get("quality")),
            readings=whole(document, "readings", "", default=2, least=1, most=100),
            metrics=_metrics(document.get("metrics")),
            strategy=text(document, "strategy", "", default="canary", pattern="[a-z_]{1,32}"),
            parameters=dict(parameters),
            cooldown_hours=number(document, "cooldown_hours", "", default=24, least=0.1, most=8784),
            daily_cap=whole(document, "daily_cap", "", default=1, least=1, most=100),
        )
        policy.check()
        return policy

    def check(self) -> None:
        """Refuses a policy that is on and could not do its work."""
        if not self.enabled:
            return
        if not self.hook:
            raise InvalidPlan("A policy that is on names the hook that it calls.", field="hook")
        if not self.metrics:
            hint = 'For example [{"name": "auc", "better": "higher", "limit": 0.8}].'
            raise InvalidPlan("Name at least one metric to compare.", field="metrics", hint=hint)
        if not self.drift and self.quality is None:
            raise InvalidPlan("Neither drift nor quality asks for training.", field="drift")

    def to_dict(self) -> dict[str, Any]:
        document = asdict(self)
        document["metrics"] = [asdict(metric) for metric in self.metrics]
        return document


def compare(
    wanted: Sequence[WantedMetric], challenger: Mapping[str, float], champion: Mapping[str, float]
) -> tuple[bool, str]:
    """Whether the challenger reaches every limit and beats the champion on every metric; why (not).

    A metric that either lacks cannot be beaten.
    """
    failed, won = [], []
    for metric in wanted:
        value, other = challenger.get(metric.name), champion.get(metric.name)
        if value is None or other is None:
            failed.append(
                f"{metric.name} of the {'new version' if value is None else 'champion'} is not known"
            )
        elif not metric.reaches(value):
            failed.append(f"{metric.name} {value:.5g} does not reach {metric.limit:g}")
        elif not metric.beats(value, other):
            failed.append(f"{metric.name} {value:.5g} does not beat the champion's {other:.5g}")
        else:
            won.append(f"{metric.name} {value:.5g} against {other:.5g}")
    if failed or not won:
        return False, "; ".join(failed) or "no metric is named"
    return True, "; ".join(won)


def degraded(floor: QualityFloor, figures: Sequence[tuple[int, float]], readings: int) -> bool:
    """Whether the newest `readings` of (labels, figure), oldest first, were all worse than the floor."""
    known = [figure for labels, figure in figures if labels >= floor.min_labels][-readings:]
    worse = [figure < floor.limit if floor.better == HIGHER else figure > floor.limit for figure in known]
    return len(worse) == readings and all(worse)


def _quality(document: object) -> QualityFloor | None:
    if document is None:
        return None
    if not isinstance(document, Mapping):
        raise InvalidPlan("Expected an object or null.", field="quality")
    path = "quality."
    only_known(document, frozenset(QualityFloor.__dataclass_fields__), path)
    if document.get("limit") is None:
        raise InvalidPlan("A floor needs its limit.", field="quality.limit")
    return QualityFloor(
        label=text(document, "label", path, default="label", pattern=NAME),
        metric=text(document, "metric", path, default="accuracy", pattern=NAME),
        limit=number(document, "limit", path, default=0, least=-1e300, most=1e300),
        better=text(document, "better", path, default=HIGHER, pattern="higher|lower"),
        min_labels=whole(document, "min_labels", path, default=100, least=10, most=10**9),
    )


def _metrics(document: object) -> tuple[WantedMetric, ...]:
    if document is None:
        return ()
    if not isinstance(document, list | tuple) or len(document) > MAX_METRICS:
        raise InvalidPlan(f"Expected a list of at most {MAX_METRICS} metrics.", field="metrics")
    found = []
    for index, item in enumerate(document):
        path = f"metrics[{index}]."
        if not isinstance(item, Mapping):
            raise InvalidPlan("Expected an object.", field=path.rstrip("."))
        only_known(item, frozenset(WantedMetric.__dataclass_fields__), path)
        name = text(item, "name", path, default="", pattern=NAME)
        if not name:
            raise InvalidPlan("A metric has a name.", field=f"{path}name")
        limit = item.get("limit")
        found.append(
            WantedMetric(
                name=name,
                better=text(item, "better", path, default=HIGHER, pattern="higher|lower"),
                limit=None
                if limit is None
                else number(item, "limit", path, default=0, least=-1e300, most=1e300),
            )
        )
    return tuple(found)
