"""What the target of an environment is able to do, as its adapters tell from their configuration.

Nobody is called: a door may ask this before it records what somebody wants.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from registry.models import Version
from rollouts import targets
from rollouts.domain.plan import Experiment, Plan, SetWeight
from rollouts.domain.serves import OURS, Serves
from rollouts.models import Environment

log = logging.getLogger(__name__)


def serves(environment: Environment) -> Serves:
    """What the environment's model servers can run; what ours can where the adapter does not say."""
    target = targets.find(environment.target)
    told = _told(target.cluster, "serves", target, environment.name) if target else None
    return told if isinstance(told, Serves) else OURS


def unservable(version: Version, serves: Serves) -> str:
    """Why servers with these abilities cannot run the version, as in `is joblib …`; "" when they can."""
    return version.unready or serves.refusal(version.format, version.is_folder, version.signature)


def unserved(versions: Iterable[Version], servers: Sequence[Serves]) -> dict[int, str]:
    """Why none of the servers can run them, by key, as the first says it; without those that one can."""
    reasons = {version.pk: [unservable(version, server) for server in servers] for version in versions}
    return {key: found[0] for key, found in reasons.items() if found and all(found)}


def unsticky(environment: Environment, plan: Plan) -> str:
    """Why the environment's router cannot keep users with a version as the plan asks; "" when it can."""
    return _unsticky(environment, plan, next(iter(plan.sticky))) if plan.sticky else ""


def unkept(environment: Environment, plan: Plan) -> str:
    """Why an experiment by shares that names no key keeps no user; "" when the router keeps them anyway."""
    experiment = any(isinstance(step, Experiment) for step in plan.steps) and _shares(plan)
    return _unsticky(environment, plan, "") if experiment and not plan.sticky else ""


def _unsticky(environment: Environment, plan: Plan, by: str) -> str:
    target = targets.find(environment.target)
    told = _told(target.router, "unsticky", target, by, len(_shares(plan))) if target else None
    return f"{target.router_name} {told}" if target and told else ""


def _shares(plan: Plan) -> set[int]:
    """The shares in which two versions serve."""
    return {step.percent for step in plan.steps if isinstance(step, SetWeight)} - {0, 100}


def _told(path: str, name: str, target: targets.Target, *asked: Any) -> Any:
    """The adapter's answer; None from one that has none, or that cannot be used (its endpoints' pages say
    why)."""
    try:
        tells = getattr(import_string(path), name, None)
        return tells(target.options, *asked) if tells else None
    except (ImportError, ImproperlyConfigured) as error:
        log.warning("the target %s cannot be used: %s", target.name, error)
        return None
