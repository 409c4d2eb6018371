"""What the target of an environment is able to do, as its adapters tell from their configuration.

Nobody is called: a door may ask this before it records what somebody wants.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from rollouts import targets
from rollouts.domain.plan import Plan, SetWeight
from rollouts.domain.serves import OURS, Serves
from rollouts.models import Environment

log = logging.getLogger(__name__)


def serves(environment: Environment) -> Serves:
    """What the environment's model servers can run; what ours can where the adapter does not say."""
    target = targets.find(environment.target)
    told = _told(target.cluster, "serves", target, environment.name) if target else None
    return told if isinstance(told, Serves) else OURS


def unsticky(environment: Environment, plan: Plan) -> str:
    """Why the environment's router cannot keep users with a version as the plan asks; "" when it can."""
    target = targets.find(environment.target)
    if target is None or not plan.sticky:
        return ""
    shares = {step.percent for step in plan.steps if isinstance(step, SetWeight)} - {0, 100}
    told = _told(target.router, "unsticky", target, next(iter(plan.sticky)), len(shares))
    return f"{target.router_name} {told}" if told else ""


def _told(path: str, name: str, target: targets.Target, *asked: Any) -> Any:
    """The adapter's answer; None from one that has none, or that cannot be used (its endpoints' pages say
    why)."""
    try:
        tells = getattr(import_string(path), name, None)
        return tells(target.options, *asked) if tells else None
    except (ImportError, ImproperlyConfigured) as error:
        log.warning("the target %s cannot be used: %s", target.name, error)
        return None
