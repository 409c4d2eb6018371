"""Endpoints, rollouts and plan templates as far as the caller may reach them: asked of their model.

What may not be viewed answers as what does not exist.
"""

from __future__ import annotations

from django.db.models import Q

from registry.domain.roles import Permission
from registry.identity import AnyUser, may, may_anywhere, require, require_anywhere, visible
from registry.models import Model
from rollouts import gate_templates, plan_templates, queries
from rollouts.errors import NotFound
from rollouts.models import Endpoint, GateTemplate, PlanTemplate, Rollout
from rollouts.shelf import Shelf, T, V

TO_MODEL = "model__"
TO_MODEL_OF_ENDPOINT = "endpoint__model__"


def endpoint_for(user: AnyUser, name: str, permission: Permission = Permission.VIEW) -> Endpoint:
    """The endpoint, on whose model the user holds the permission; NotFound, Forbidden."""
    require_anywhere(user, permission)
    found = queries.endpoint_by_name(name)
    if not may(user, Permission.VIEW, found.model):
        raise NotFound(f"There is no endpoint {name!r}.", field="endpoint")
    require(user, permission, found.model)
    return found


def endpoint_names(user: AnyUser, permission: Permission) -> frozenset[str] | None:
    """The names of the endpoints on whose model the user holds the permission; None for all there can be."""
    require_anywhere(user, permission)
    if may(user, permission):
        return None
    rows = Endpoint.objects.filter(visible(user, TO_MODEL, permission))
    return frozenset(rows.values_list("name", flat=True))


def may_create_endpoint(user: AnyUser, model: str = "") -> bool:
    """Whether the user may put the model of that name into service; without a name, any model."""
    if not model:
        return may_anywhere(user, Permission.PROMOTE)
    rows = Model.objects.filter(visible(user, permission=Permission.PROMOTE), name=model, deleted_at=None)
    return rows.exists()


def rollout_for(user: AnyUser, rollout_id: int, permission: Permission = Permission.VIEW) -> Rollout:
    """The rollout, on whose model the user holds the permission; NotFound, Forbidden."""
    require_anywhere(user, permission)
    found = queries.rollout_by_id(rollout_id)
    if not may(user, Permission.VIEW, found.endpoint.model):
        raise NotFound(f"There is no rollout {rollout_id}.")
    require(user, permission, found.endpoint.model)
    return found


def template_for(user: AnyUser, name: str, permission: Permission = Permission.VIEW) -> PlanTemplate:
    """The plan template of that name, by the rule of `_kept_for`."""
    return _kept_for(plan_templates.SHELF, user, name, permission)


def gates_for(user: AnyUser, name: str, permission: Permission = Permission.VIEW) -> GateTemplate:
    """The gates of that name, by the same rule."""
    return _kept_for(gate_templates.SHELF, user, name, permission)


def _kept_for(shelf: Shelf[T, V], user: AnyUser, name: str, permission: Permission) -> T:
    """The template: one for a model asks on that model, one for every model is seen by everybody and changed
    by those whose permission reaches everything."""
    require_anywhere(user, permission)
    found = shelf.by_name(name)
    if found.model is not None and not may(user, Permission.VIEW, found.model):
        raise shelf.unknown(name)
    if found.model is not None or permission is not Permission.VIEW:
        require(user, permission, found.model)
    return found


def shown_templates(user: AnyUser) -> Q:
    """A filter for the templates that the user may see."""
    return Q(model=None) | visible(user, TO_MODEL)
