"""What a person or a pipeline says about a new version, checked as a whole before any byte is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.domain import names
from registry.domain.signature import parse_signature
from registry.domain.text import clean_document, clean_line, clean_lines, clean_tags, clean_text, finite
from registry.errors import Invalid

MAX_METRICS = 1000


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """A version's metadata; every field is already in the form in which it is stored."""

    label: str = ""
    framework: str = ""
    git_sha: str = ""
    training_run: str = ""
    dataset_ref: str = ""
    dataset_digest: str = ""
    feature_schema_version: str = ""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    feature_names: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    signature: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    parent: int | None = None
    notes: str = ""

    @classmethod
    def parse(cls, value: Any) -> VersionDraft:
        """From a JSON object; unknown keys are refused so that a misspelt one is noticed.

        Raises `Invalid` naming the field at fault.
        """
        data = clean_document(value, field="metadata", maximum=1_000_000)
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise Invalid("This field is not known.", field=unknown[0][:80], hint=f"Known fields: {known}.")
        parent = data.get("parent")
        return cls(
            label=names.version_label(data.get("label")),
            framework=clean_line(data.get("framework"), field="framework", maximum=128),
            git_sha=names.git_sha(data.get("git_sha")),
            training_run=clean_line(data.get("training_run"), field="training_run", maximum=500),
            dataset_ref=clean_line(data.get("dataset_ref"), field="dataset_ref", maximum=500),
            dataset_digest=clean_line(data.get("dataset_digest"), field="dataset_digest", maximum=128),
            feature_schema_version=clean_line(
                data.get("feature_schema_version"), field="feature_schema_version", maximum=64
            ),
            hyperparameters=clean_document(data.get("hyperparameters"), field="hyperparameters"),
            dependencies=clean_lines(data.get("dependencies"), field="dependencies", maximum=300, count=2000),
            feature_names=parse_feature_names(data.get("feature_names")),
            metrics=parse_metrics(data.get("metrics")),
            signature=parse_signature(data.get("signature")),
            tags=clean_tags(data.get("tags")),
            parent=None if parent is None else names.version_number(parent, field="parent"),
            notes=clean_text(data.get("notes"), field="notes", maximum=20_000),
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric at a training step (0 for metrics measured once)."""

    name: str
    value: float
    step: int = 0


def parse_metrics(value: Any) -> dict[str, float]:
    """`{"rmse": 53.1, …}` as names and finite numbers."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid("It must be an object of names and numbers.", field="metrics")
    if len(value) > MAX_METRICS:
        raise Invalid(f"It has {len(value)} metrics; at most {MAX_METRICS} are kept.", field="metrics")
    return {
        names.metric_name(name): finite(number, field=f"metrics.{name}") for name, number in value.items()
    }


def parse_points(value: Any) -> list[Point]:
    """`[{"name", "value", "step"?}…]` as points, at most 10,000."""
    if not isinstance(value, list) or not value:
        raise Invalid("It must be a list with at least one point.", field="points")
    if len(value) > 10_000:
        raise Invalid(f"It has {len(value)} points; send at most 10000 at a time.", field="points")
    return [_point(item, f"points[{i}]") for i, item in enumerate(value)]


def _point(item: Any, where: str) -> Point:
    if not isinstance(item, Mapping) or not {"name", "value"} <= set(item) <= {"name", "value", "step"}:
        raise Invalid("A point is an object with `name`, `value` and optionally `step`.", field=where)
    step = item.get("step", 0)
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**63:
        raise Invalid("It must be a whole number from 0.", field=f"{where}.step")
    name = names.metric_name(item["name"], field=f"{where}.name")
    return Point(name, finite(item["value"], field=f"{where}.value"), step)


def parse_feature_names(value: Any) -> list[str]:
    """Distinct one-line texts, one per input column; `Invalid` names the one at fault."""
    features = clean_lines(value, field="feature_names", maximum=128, count=10_000)
    repeated = next((name for i, name in enumerate(features) if name in features[:i]), None)
    if repeated is not None:
        raise Invalid(f"{repeated!r} is there twice.", field="feature_names", hint="Names must be distinct.")
    return features
