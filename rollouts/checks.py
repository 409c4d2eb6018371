"""What must be right before Slipway starts, each with an id and a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from rollouts.targets import DEFAULT, Target, targets
from rollouts.wiring import make

_CLUSTER = (("apply", "observe"), "rollouts.adapters.local.LocalCluster")
_ROUTER = (("set_route", "observed_route"), "rollouts.adapters.local.LocalRouter")


def check_ports(**_: Any) -> list[CheckMessage]:
    """E001: an adapter cannot be loaded. E002: it lacks a method of its port. E005: the file of targets is
    wrong, or an adapter refuses its options."""
    try:
        found = targets()
    except ImproperlyConfigured as error:
        hint = "See docs/rollouts.md for what the file may say."
        return [Error(f"SLIPWAY_TARGETS_FILE: {error}", hint=hint, id="rollouts.E005")]
    return [message for target in found.values() for message in _check_target(target)]


def _check_target(target: Target) -> list[CheckMessage]:
    plain = target.name == DEFAULT
    names = (
        ("SLIPWAY_CLUSTER", "SLIPWAY_ROUTER")
        if plain
        else (f"{target.name}.cluster", f"{target.name}.router")
    )
    messages = []
    for name, path, port in zip(names, (target.cluster, target.router), (_CLUSTER, _ROUTER), strict=True):
        messages += _check_adapter(name, path, target, *port)
    return messages


def _check_adapter(
    name: str, path: str, target: Target, methods: tuple[str, ...], example: str
) -> list[CheckMessage]:
    try:
        adapter = import_string(path)
    except ImportError as error:
        message = f"{name} {path!r} cannot be loaded: {error}"
        return [Error(message, hint=f"Name a class such as {example}.", id="rollouts.E001")]
    missing = [method for method in methods if not callable(getattr(adapter, method, None))]
    if missing:
        message = f"{name} {path!r} lacks {', '.join(missing)}."
        return [Error(message, hint="See rollouts/ports.py.", id="rollouts.E002")]
    try:
        make(path, target.options)
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        return [Error(f"{name} cannot be used: {error}", hint="See docs/rollouts.md.", id="rollouts.E005")]
    return []


def check_tick(**_: Any) -> list[CheckMessage]:
    """E003: ticks so far apart that a rollback would be late."""
    if settings.SLIPWAY_TICK_SECONDS <= 60:
        return []
    return [
        Error(
            f"SLIPWAY_TICK_SECONDS is {settings.SLIPWAY_TICK_SECONDS:g}; a failed gate would wait that long.",
            hint="Use 1 on one machine and at most 60.",
            id="rollouts.E003",
        )
    ]


def check_queue(**_: Any) -> list[CheckMessage]:
    """E004: a queue that Celery cannot speak to."""
    url = settings.CELERY_BROKER_URL
    if not url or url.startswith(("redis://", "rediss://", "sentinel://")):
        return []
    return [
        Error(
            "SLIPWAY_REDIS_URL is not the address of a Redis.",
            hint="Write redis://host:6379/0, rediss:// for TLS, or leave it empty to work without a queue.",
            id="rollouts.E004",
        )
    ]
