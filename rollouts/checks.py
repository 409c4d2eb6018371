"""What must be right before Slipway starts, each with an id and a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

_PORTS = {
    "SLIPWAY_CLUSTER": (("apply", "observe"), "rollouts.adapters.local.LocalCluster"),
    "SLIPWAY_ROUTER": (("set_route", "observed_route"), "rollouts.adapters.local.LocalRouter"),
}


def check_ports(**_: Any) -> list[CheckMessage]:
    """E001: an adapter cannot be loaded. E002: it lacks a method of its port."""
    found = []
    for setting, (methods, example) in _PORTS.items():
        path = getattr(settings, setting)
        try:
            adapter = import_string(path)
        except ImportError as error:
            message = f"{setting} {path!r} cannot be loaded: {error}"
            found.append(Error(message, hint=f"Name a class such as {example}.", id="rollouts.E001"))
            continue
        missing = [name for name in methods if not callable(getattr(adapter, name, None))]
        if missing:
            message = f"{setting} {path!r} lacks {', '.join(missing)}."
            found.append(Error(message, hint="See rollouts/ports.py.", id="rollouts.E002"))
    return list[CheckMessage](found)


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
