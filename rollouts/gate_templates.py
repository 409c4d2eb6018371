"""Gates that are kept under a name: per model and environment, every change a new version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.domain.judge import parse_gates
from registry.domain.actor import Actor
from registry.models import Model
from rollouts.models import Endpoint, Environment, GateTemplate, GateTemplateVersion
from rollouts.shelf import Shelf, Words

SHELF = Shelf(
    GateTemplate,
    GateTemplateVersion,
    Words(
        noun="gates",
        plural=True,
        field="gates",
        name_hint="Use a-z, 0-9 and '-'.",
        reason_hint="People who use the gates will read it.",
    ),
    action="gate_template",
    folder="gates",
)
archive_gates = SHELF.archive
templates = SHELF.templates
template_by_name = SHELF.by_name
chosen = SHELF.chosen


def save_gates(
    *,
    name: str,
    gates: Sequence[Mapping[str, Any]],
    model: Model | None = None,
    environment: Environment | None = None,
    actor: Actor,
    reason: str,
) -> GateTemplateVersion:
    """Keeps gates under a name: as version 1, or as the next version when they are new.

    The same gates again are the version that exists. Invalid has the path of a bad field; Conflict when the
    name belongs to another model or environment.
    """

    def read() -> dict[str, Any]:
        # Written out in full, so that a later change of a default changes no version.
        return {"gates": [gate.to_dict() for gate in parse_gates(gates)]}

    return SHELF.save(name=name, model=model, environment=environment, actor=actor, reason=reason, read=read)


def pinned(parameters: Mapping[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    """Parameters whose `gates`, when they name a template, name its version as well."""
    if not isinstance(parameters.get("gates"), str):
        return dict(parameters)
    return {**parameters, "gates": str(chosen(parameters["gates"], endpoint))}


def filled_in(parameters: Mapping[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    """Parameters with the gates themselves where they name a template: what a plan freezes."""
    if not isinstance(parameters.get("gates"), str):
        return dict(parameters)
    return {**parameters, "gates": chosen(parameters["gates"], endpoint).gates}
