"""Models, versions and aliases as documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef

from registry.api.shapes import Document, Gathered, One, Shape, added
from registry.domain.names import alias_name
from registry.domain.states import State
from registry.errors import NotFound
from registry.lookups import owner
from registry.models import Alias, Intake, LatestMetric, Model, Version
from registry.prepared import Prepared
from registry.queries import LARGEST, no_version

_OF_VERSION = {"version": OuterRef("pk")}
# A version as lists show it: everything but the two large documents.
SUMMARY = Shape(
    Version,
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
    Model,
    ("name", "owner_team", "description", "tags", "created_by", "created_at", "updated_at"),
    versions=F("last_number"),
    aliases=Gathered(
        Alias.objects.filter(model=OuterRef("pk")).order_by("name").values_list("name", "version__number"),
        keyed=True,
    ),
)
# The stand-in of a number in prepared queries: no constant of theirs.
_A = 1_900_000_000


_LIVE = {"deleted_at": None, "model__deleted_at": None}
_OWNER = ("model_id", "model__name", "model__owner_team")
_MODEL = One(
    MODEL,
    lambda name: Model.objects.filter(name=name, deleted_at=None).order_by(),
    keys=("pk", "name", "owner_team"),
    name="@name",
)
_OF_ALIAS = ("name", "version__number", "updated_at")
_ALIAS = Prepared(
    lambda name, alias: (
        Alias.objects.filter(model__name=name, model__deleted_at=None, name=alias)
        .order_by()
        .values_list(*_OWNER, *_OF_ALIAS)
    ),
    name="@name",
    alias="@alias",
)
_VERSION = One(
    SUMMARY.wider("profile", "inspection"),
    lambda name, number: Version.objects.filter(model__name=name, number=number, **_LIVE).order_by(),
    keys=(*_OWNER, "pk", "state"),
    name="@name",
    number=_A,
)
Found = tuple[Model, Document]


def find_model(name: str) -> Found | None:
    """The live model of that name (no more of it than who it belongs to) and its document; 1 query."""
    found = _MODEL.find(name=name) if "\x00" not in name else None
    return found and (owner(found[0]), found[1])


def find_alias(name: str, alias: str) -> Found | None:
    """The model and the document of one of its aliases; 1 query."""
    found = _ALIAS.rows(name=name, alias=alias) if "\x00" not in name + alias else []
    return (owner(found[0][:3]), alias_of(*found[0][3:])) if found else None


def find_version(name: str, number: int) -> Found | None:
    """The model and the document of one of its live versions; 1 query."""
    found = _VERSION.find(name=name, number=number) if number <= LARGEST and "\x00" not in name else None
    if found is None:
        return None
    *keys, pk, state = found[0]
    settled = state in {State.READY.value, State.REFUSED.value}
    intake = None if settled else Intake.objects.filter(version=pk).first()
    return owner(keys), added(found[1], progress=_progress(intake))


def model_document(model: Model) -> Document:
    """The model as it is stored now, or `NotFound`."""
    found = find_model(model.name)
    if found is None:
        raise NotFound(f"The model {model.name!r} was deleted.")
    return found[1]


def alias_document(model: Model, name: str) -> Document:
    """An alias and the version it points at, or `NotFound`."""
    found = find_alias(model.name, alias_name(name))
    if found is None:
        raise NotFound(f"{model.name} has no alias {name!r}.")
    return found[1]


def alias_documents(model: Model) -> list[Document]:
    """All aliases of the model, by name."""
    rows = Alias.objects.filter(model=model).order_by("name").values_list(*_OF_ALIAS)
    return [alias_of(*row) for row in rows]


def alias_of(name: str, version: int, updated_at: datetime) -> Document:
    """An alias at the version of that number, which it was moved to at `updated_at`.

    Written here and not by the database, so that whoever moved it knows the document without another look.
    """
    return {"name": name, "version": version, "updated_at": updated_at}


def version_document(model: Model, number: int) -> Document:
    """The whole live version, with its baseline profile, what the inspection found, and how far the
    verification of an unfinished one is."""
    found = find_version(model.name, number)
    if found is None:
        raise no_version(model, number)
    return found[1]


def _progress(intake: Intake | None) -> dict[str, Any] | None:
    if intake is None:
        return None
    return {
        "done_bytes": intake.done_bytes,
        "total_bytes": intake.total_bytes,
        "percent": intake.percent,
    }
