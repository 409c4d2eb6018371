"""Models, versions and aliases as documents."""

from __future__ import annotations

from typing import Any

from django.db.models import F, OuterRef

from registry import queries
from registry.api.shapes import Document, Gathered, One, Shape, added
from registry.domain.names import alias_name
from registry.domain.states import State
from registry.errors import NotFound
from registry.models import Alias, Intake, LatestMetric, Model, Version

_OF_VERSION = {"version": OuterRef("pk")}
# A version as lists show it: everything but the two large documents.
SUMMARY = Shape(
    (
        "number", "label", "state", "problem", "digest", "size", "file_count", "filename", "reference_digest",
        "format", "framework", "signature", "feature_names", "feature_schema_version", "hyperparameters",
        "git_sha", "training_run", "dataset_ref", "dataset_digest", "dependencies", "tags", "notes",
        "findings", "created_by", "created_at",
    ),
    model=F("model__name"),
    parent=F("parent__number"),
    metrics=Gathered(
        LatestMetric.objects.filter(**_OF_VERSION).order_by("name").values_list("name", "value"), keyed=True
    ),
    aliases=Gathered(Alias.objects.filter(**_OF_VERSION).order_by("name").values_list("name")),
)  # fmt: skip
# `versions` is the highest number given so far.
MODEL = Shape(
    ("name", "owner_team", "description", "tags", "created_by", "created_at", "updated_at"),
    versions=F("last_number"),
    aliases=Gathered(
        Alias.objects.filter(model=OuterRef("pk")).order_by("name").values_list("name", "version__number"),
        keyed=True,
    ),
)
ALIAS = Shape(("name", "updated_at"), version=F("version__number"))
# Stand-ins of prepared queries: no constants of theirs.
_A, _B = 1_900_000_000, 1_900_000_001


def _numbered(model: int, number: int) -> Any:
    return Version.objects.filter(model=model, number=number, deleted_at=None).order_by()


_MODEL = One(MODEL, lambda pk: Model.objects.filter(pk=pk, deleted_at=None).order_by(), pk=_A)
_ALIAS = One(
    ALIAS,
    lambda model, name: Alias.objects.filter(model=model, name=name).order_by(),
    model=_A,
    name="@name",
)
_SUMMARY = One(SUMMARY, _numbered, model=_A, number=_B)
_VERSION = One(SUMMARY.wider(("profile", "inspection")), _numbered, keys=("pk", "state"), model=_A, number=_B)


def model_document(model: Model) -> Document:
    """The model as it is stored now, or `NotFound`."""
    found = _MODEL.find(pk=model.pk)
    if found is None:
        raise NotFound(f"The model {model.name!r} was deleted.")
    return found[1]


def alias_document(model: Model, name: str) -> Document:
    """An alias and the version it points at, or `NotFound`."""
    found = _ALIAS.find(model=model.pk, name=alias_name(name))
    if found is None:
        raise NotFound(f"{model.name} has no alias {name!r}.")
    return found[1]


def version_summary(model: Model, number: int) -> Document:
    """A live version as lists show it, or `NotFound`."""
    found = _SUMMARY.find(model=model.pk, number=queries.existing_number(model, number))
    if found is None:
        raise queries.no_version(model, number)
    return found[1]


def version_document(model: Model, number: int) -> Document:
    """The whole live version, with its baseline profile, what the inspection found, and how far the
    verification of an unfinished one is."""
    found = _VERSION.find(model=model.pk, number=queries.existing_number(model, number))
    if found is None:
        raise queries.no_version(model, number)
    (pk, state), document = found
    settled = state in {State.READY.value, State.REFUSED.value}
    intake = None if settled else Intake.objects.filter(version=pk).first()
    return added(document, progress=_progress(intake))


def _progress(intake: Intake | None) -> dict[str, Any] | None:
    if intake is None:
        return None
    return {
        "done_bytes": intake.done_bytes,
        "total_bytes": intake.total_bytes,
        "percent": intake.percent,
    }
