"""The numbers of versions: a metric over its steps, and two versions side by side."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from registry import queries
from registry.domain import differences
from registry.domain.curve import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Points, curve
from registry.domain.names import CHAMPION
from registry.domain.text import clean_line
from registry.errors import DomainError, Invalid
from registry.models import Model, Version
from registry.web import presenting
from registry.web.door import model_of, page

# As many points as the API gives in one page; the chart says when there are more.
POINTS = 10_000
_SAID = (
    ("Label", "label"), ("Format", "format"), ("Framework", "framework"), ("Git commit", "git_sha"),
    ("Training run", "training_run"), ("Data set", "dataset_ref"), ("Data digest", "dataset_digest"),
    ("Feature schema", "feature_schema_version"), ("Digest", "digest"), ("File", "filename"),
)  # fmt: skip


@page()
def metrics(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """`?name=` over its training steps, beside the champion's."""
    model = model_of(request)
    version = queries.version_by_number(model, number)
    latest = sorted(version.latest_metrics.all(), key=lambda metric: metric.name)
    chosen = clean_line(request.GET.get("name", ""), field="name", maximum=128)
    chosen = chosen or (latest[0].name if latest else "")
    champion = queries.champion(model)
    rival = champion if champion is not None and champion.pk != version.pk else None
    own = _points(version, chosen)
    lines: dict[tuple[str, str], Points] = {("candidate", f"v{number}"): own}
    if rival is not None:
        lines["stable", f"v{rival.number}, the champion"] = _points(rival, chosen)
    context = {
        "model": model,
        "version": version,
        "latest": latest,
        "chosen": chosen,
        "curve": curve(lines),
        "plot": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "bottom": BOTTOM},
        "cut": POINTS if len(own) == POINTS else 0,
    }
    return render(request, "registry/metrics.html", context)


@page()
def compare(request: HttpRequest, name: str) -> HttpResponse:
    """Versions `?a=` and `?b=`, by number or alias: metrics, and whatever else differs."""
    model = model_of(request)
    asked = {side: clean_line(request.GET.get(side, ""), field=side, maximum=255) for side in ("a", "b")}
    context: dict[str, Any] = {"model": model, **asked}
    status = 200
    if all(asked.values()):
        try:
            left, right = (_version(model, asked[side], side) for side in ("a", "b"))
            context |= {"left": left, "right": right, "groups": _groups(left, right)}
            context["metrics"] = presenting.metric_lines(right, left)
        except DomainError as error:
            context["error"], status = error, error.status
    return render(request, "registry/compare.html", context, status=status)


def _points(version: Version, name: str) -> Points:
    rows = queries.metric_history(version, name, limit=POINTS) if name else ()
    return [(row.step, row.value) for row in rows]


def _version(model: Model, said: str, field: str) -> Version:
    number = said.removeprefix("v")
    if number.isascii() and number.isdecimal() and len(number) < 10:
        return queries.version_by_number(model, int(number))
    if said == "latest":
        newest = queries.versions_page(model, limit=1).items
        if newest:
            return newest[0]
    found = queries.version_by_alias(model, said)
    if found is None:
        hint = f"Write a number, latest or an alias such as {CHAMPION}."
        raise Invalid(f"{model.name} has no version {ascii(said[:80])}.", field=field, hint=hint)
    return found


def _groups(left: Version, right: Version) -> list[tuple[str, list[differences.Difference]]]:
    """What differs, under its heading; headings without a line are left out."""
    said = [{label: getattr(version, name) for label, name in _SAID} for version in (left, right)]
    shapes = [
        [
            (f"{way} {tensor.name}", f"{tensor.dtype} {tensor.shape_text()}")
            for way, tensor in presenting.tensors(v)
        ]
        for v in (left, right)
    ]
    groups = [
        ("Origin and artifact", differences.differing(*said)),
        ("Hyper-parameters", differences.differing(left.hyperparameters, right.hyperparameters)),
        ("Signature", differences.tensors(*shapes)),
        ("Dependencies", differences.dependencies(left.dependencies, right.dependencies)),
        ("Tags", differences.differing(left.tags, right.tags)),
    ]
    return [(heading, lines) for heading, lines in groups if lines]
