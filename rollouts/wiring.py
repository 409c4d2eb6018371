"""The adapters that settings and the file of targets name, loaded once. Nothing else knows which they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from monitoring.wiring import metrics_source
from registry.wiring import artifact_store
from rollouts import targets
from rollouts.adapters.absent import Absent
from rollouts.ports import Cluster, TrafficRouter
from rollouts.reconcile import Ports


def cluster(target: str = targets.DEFAULT) -> Cluster:
    """The cluster of a target."""
    return _world(target)[0]


def router(target: str = targets.DEFAULT) -> TrafficRouter:
    """The router of a target."""
    return _world(target)[1]


def ports() -> Ports:
    """Everything a tick touches, with the world of the settings."""
    return Ports(cluster=cluster(), router=router(), metrics=metrics_source(), artifacts=artifact_store())


def placed(ports: Ports, target: str) -> Ports:
    """The same with the world of an environment's target."""
    return replace(ports, cluster=cluster(target), router=router(target))


@cache
def _world(name: str) -> tuple[Cluster, TrafficRouter]:
    """Both adapters; when the target is unknown or wrong, its endpoints wait and their pages say why.

    The target of the settings is the exception: without it nothing works, so its errors are raised.
    """
    try:
        target = targets.find(name)
        if target is None:
            raise ImproperlyConfigured("SLIPWAY_TARGETS_FILE does not name it")
        return make(target.cluster, target.options), make(target.router, target.options)
    except (ImportError, ImproperlyConfigured) as error:
        if name == targets.DEFAULT:
            raise
        absent = Absent(f"The target {name} cannot be used: {error}.")
        return absent, absent


def make(path: str, options: Mapping[str, Any]) -> Any:
    """The adapter; one that has options is made by its `from_options`."""
    adapter = import_string(path)
    if not options:
        return adapter()
    if not hasattr(adapter, "from_options"):
        raise ImproperlyConfigured(f"{path} takes no options")
    return adapter.from_options(options)
