"""What the target of an environment is able to do, as its adapters tell from their configuration.

Nobody is called: a door may ask this before it records what somebody wants.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from rollouts import targets
from rollouts.domain.serves import OURS, Serves
from rollouts.models import Environment

log = logging.getLogger(__name__)


def serves(environment: Environment) -> Serves:
    """What the environment's model servers can run; what ours can where the adapter does not say."""
    target = targets.find(environment.target)
    told = _told(target.cluster, "serves", target, environment.name) if target else None
    return told if isinstance(told, Serves) else OURS


def unsticky(environment: Environment, by: str) -> str:
    """Why the environment's router cannot keep a user with a version by a `header` or `cookie`; "" when it
    can."""
    target = targets.find(environment.target)
    told = _told(target.router, "unsticky", target, by) if target else None
    return told or ""


def _told(path: str, name: str, target: targets.Target, *asked: str) -> Any:
    """The adapter's answer; None from one that has none, or that cannot be used (its endpoints' pages say
    why)."""
    try:
        tells = getattr(import_string(path), name, None)
        return tells(target.options, *asked) if tells else None
    except (ImportError, ImproperlyConfigured) as error:
        log.warning("the target %s cannot be used: %s", target.name, error)
        return None
