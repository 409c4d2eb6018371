"""The Celery app of the product, whose worker processes die at boundaries when told to."""

import os

from celery.signals import worker_process_init

from controlplane.celery import app
from tests.chaos import killer, leases

if os.environ.get("SLIPWAY_CHAOS_KILLS"):
    worker_process_init.connect(killer.install, weak=False)
worker_process_init.connect(leases.shorten, weak=False)

__all__ = ["app"]
