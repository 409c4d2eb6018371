"""gunicorn's settings in production: `gunicorn -c python:controlplane.server controlplane.wsgi`."""

from __future__ import annotations

from controlplane import env
from controlplane.processes import on_starting
from controlplane.settings import LOGGING

bind = env.text("SLIPWAY_BIND", "0.0.0.0:8000")
worker_class = "gthread"
workers = env.integer("SLIPWAY_WEB_WORKERS", 2)
threads = env.integer("SLIPWAY_WEB_THREADS", 8)
# An upload of gigabytes in one request takes its time; a worker whose threads all hang is replaced.
timeout = 60
graceful_timeout = 20
keepalive = 5
# The heartbeat of workers is a file: in memory it cannot hang with a disk.
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
__all__ = ["on_starting"]
logconfig_dict = {
    **LOGGING,
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": False},
    },
}
