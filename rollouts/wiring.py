"""The adapters that settings name, loaded once. Nothing else knows which ones they are."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from monitoring.wiring import metrics_source
from registry.wiring import artifact_store
from rollouts.ports import Cluster, TrafficRouter
from rollouts.reconcile import Ports


@cache
def cluster() -> Cluster:
    """The adapter in SLIPWAY_CLUSTER."""
    adapter: Cluster = import_string(settings.SLIPWAY_CLUSTER)()
    return adapter


@cache
def router() -> TrafficRouter:
    """The adapter in SLIPWAY_ROUTER."""
    adapter: TrafficRouter = import_string(settings.SLIPWAY_ROUTER)()
    return adapter


def ports() -> Ports:
    """Everything a tick touches."""
    return Ports(cluster=cluster(), router=router(), metrics=metrics_source(), artifacts=artifact_store())
