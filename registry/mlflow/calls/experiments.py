"""Experiments."""

from __future__ import annotations

from typing import Any

from django.db.models import CharField
from django.db.models.functions import Cast

from registry.domain import foreign
from registry.errors import Conflict
from registry.mlflow.call import Call
from registry.mlflow.documents import experiment_document
from registry.mlflow.errors import ProtocolError, already_exists
from registry.mlflow.search.ordering import sorts_of
from registry.mlflow.search.paging import page
from registry.mlflow.search.vocabulary import Vocabulary
from registry.models import Experiment
from registry.services import tracking
from registry.services.tracking.experiments import DEFAULT

_VOCABULARY = Vocabulary(
    texts={"name": "name", "experiment_id": Cast("id", CharField())},
    numbers={"creation_time": "created_ms", "last_update_time": "updated_ms"},
    lists=frozenset({"experiment_id"}),
    nulls=True,
)
_ORDERS = {
    "name": "name",
    "experiment_id": "id",
    "creation_time": "created_ms",
    "last_update_time": "updated_ms",
}


def create(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    name, tags = arguments.need("name"), foreign.tags_of(arguments.pairs("tags"), maximum=5000)
    tracking.default_experiment()
    try:
        experiment = tracking.create_experiment(
            name=name, location=arguments.text("artifact_location"), tags=tags, actor=call.actor
        )
    except Conflict:
        raise already_exists(f"Experiment(name={name}) already exists.") from None
    return {"experiment_id": str(experiment.pk)}


def get(call: Call) -> dict[str, Any]:
    return {"experiment": experiment_document(experiment_named(call))}


def get_by_name(call: Call) -> dict[str, Any]:
    name = call.arguments.need("experiment_name")
    experiment = Experiment.objects.filter(name=name).first()
    if experiment is None and name == "Default":
        experiment = tracking.default_experiment()
    if experiment is None:
        raise ProtocolError("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'")
    return {"experiment": experiment_document(experiment)}


def search(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    tracking.default_experiment()
    clauses = arguments.texts("order_by") or ["creation_time DESC", "experiment_id ASC"]
    sorts = sorts_of(clauses, _ORDERS, ties=[("id", True)])
    rows = Experiment.objects.filter(
        _VOCABULARY.filter(arguments.text("filter")), **view(arguments.text("view_type"))
    )
    limit, token = arguments.limit(1000, 50_000), arguments.text("page_token")
    columns = [field.name for field in Experiment._meta.concrete_fields]
    found = page(rows, sorts, columns, limit=limit, token=token)
    answer: dict[str, Any] = {}
    if found.rows:
        names = set(columns)
        plain = [{key: value for key, value in row.items() if key in names} for row in found.rows]
        answer["experiments"] = [experiment_document(Experiment(**row)) for row in plain]
    return answer | ({"next_page_token": found.token} if found.token else {})


def update(call: Call) -> dict[str, Any]:
    name = call.arguments.text("new_name")
    try:
        if name:
            tracking.rename_experiment(experiment=experiment_named(call), name=name, actor=call.actor)
    except Conflict:
        raise already_exists(f"Experiment(name={name}) already exists.") from None
    return {}


def delete(call: Call) -> dict[str, Any]:
    tracking.delete_experiment(experiment=experiment_named(call), actor=call.actor)
    return {}


def restore(call: Call) -> dict[str, Any]:
    tracking.delete_experiment(experiment=experiment_named(call), actor=call.actor, restore=True)
    return {}


def set_tag(call: Call) -> dict[str, Any]:
    key, value = call.arguments.need("key"), call.arguments.text("value")
    tracking.tag_experiment(experiment=experiment_named(call), key=key, value=value)
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    key = call.arguments.need("key")
    tracking.tag_experiment(experiment=experiment_named(call), key=key, value=None)
    return {}


def experiment_named(call: Call) -> Experiment:
    """The experiment of `experiment_id`, deleted ones included, or the protocol's error."""
    return experiment_of(call.arguments.need("experiment_id"))


def experiment_of(text: str) -> Experiment:
    """The experiment of that number, or the protocol's error."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None
    if number == DEFAULT:
        return tracking.default_experiment()
    experiment = None if number is None else Experiment.objects.filter(pk=number).first()
    if experiment is None:
        raise ProtocolError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={text[:40]} exists")
    return experiment


def view(word: str) -> dict[str, bool]:
    """What `view_type` leaves in."""
    if word in {"", "ACTIVE_ONLY", "1"}:
        return {"deleted": False}
    if word in {"DELETED_ONLY", "2"}:
        return {"deleted": True}
    if word in {"ALL", "3"}:
        return {}
    raise ProtocolError("INVALID_PARAMETER_VALUE", f"Invalid view_type {ascii(word[:40])}.")
