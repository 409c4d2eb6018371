"""Plans that are kept under a name: saved, changed as new versions, found again, put away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.domain.actor import Actor
from registry.models import Model
from rollouts.domain.strategies import check_startable, compile_plan
from rollouts.errors import Invalid
from rollouts.gate_templates import filled_in as filled_in_gates
from rollouts.models import Endpoint, Environment, PlanTemplate, PlanTemplateVersion
from rollouts.shelf import Shelf, Words

SHELF = Shelf(
    PlanTemplate,
    PlanTemplateVersion,
    Words(
        noun="plan template",
        plural=False,
        field="template",
        name_hint="Use 1 to 53 lower-case letters, digits and '-'; begin and end with a letter or digit.",
        reason_hint="People who start from it will read it.",
        place_hint="Choose another name.",
    ),
    action="plan_template",
    folder="templates",
)
archive_template = SHELF.archive
templates = SHELF.templates
template_by_name = SHELF.by_name
templates_for = SHELF.fitting
chosen = SHELF.chosen


def save_template(
    *,
    name: str,
    strategy: str,
    parameters: Mapping[str, Any],
    model: Model | None = None,
    environment: Environment | None = None,
    actor: Actor,
    reason: str,
) -> PlanTemplateVersion:
    """Keeps a plan under a name: as version 1, or as the next version when its content is new.

    The same content again is the version that exists, so a pipeline may save at every run. InvalidPlan has
    the path of a bad parameter; Conflict when the name belongs to another model or environment.
    """

    def read() -> dict[str, Any]:
        _check(strategy, parameters)
        return {"strategy": strategy, "parameters": dict(parameters)}

    return SHELF.save(name=name, model=model, environment=environment, actor=actor, reason=reason, read=read)


def filled_in(
    reference: str, endpoint: Endpoint, strategy: str | None, parameters: Mapping[str, Any]
) -> tuple[PlanTemplateVersion, dict[str, Any]]:
    """The chosen version, and its parameters with those that were given instead of its own."""
    version = chosen(reference, endpoint)
    if strategy and strategy != version.strategy:
        raise Invalid(
            f"The plan template {version} is a {version.strategy}, not a {strategy}.",
            field="strategy",
            hint="Leave the strategy out, or leave the template out.",
        )
    return version, {**version.parameters, **parameters}


def _check(strategy: str, parameters: Mapping[str, Any]) -> None:
    check_startable(strategy)
    compile_plan(strategy, filled_in_gates(parameters, None), replicas=1)
