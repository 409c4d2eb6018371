"""Celery: the production queue. It only says "look now"; the database is the truth."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from controlplane import processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
# A tick waits for a cluster, a router and a metrics provider, each with a time-out of seconds.
SOFT_LIMIT, HARD_LIMIT = 45, 60

if processes.is_worker():
    processes.share()
app = Celery("slipway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    # A message is done when its tick is; a killed worker's message goes to another one.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_soft_time_limit=SOFT_LIMIT,
    task_time_limit=HARD_LIMIT,
    # One message at a time, so that a slow cluster keeps only its own endpoint waiting.
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Workers wait for a queue that is away, however long.
    broker_connection_max_retries=None,
    worker_consumer="controlplane.worker:SteadyConsumer",
    # Nobody steers workers over the queue: who can write to it must not be able to.
    worker_enable_remote_control=False,
    # A task that outlives its connection goes on; it cannot be acknowledged, and is repeated without harm.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_transport_options={
        # After it, a message whose whole worker vanished is delivered anew; no tick may last as long.
        "visibility_timeout": 5 * HARD_LIMIT,
        # A dispatcher finds out in seconds that the queue is away, and does the ticks itself.
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "socket_keepalive": True,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.2,
    },
    # How many ticks a worker process does on one database connection (Celery doubles it); a tick that
    # fails on the database drops its connection at once.
    CELERY_DB_REUSE_MAX=500,
)
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_logging(**_: Any) -> None:
    """Workers log as every other process does: Django has set it up, and Celery leaves it alone."""
