"""Which adapters are in force, by the dotted paths in the settings."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from monitoring.ports import JobRunner, MetricsSource, Notifier


def metrics_source() -> MetricsSource:
    """The MetricsSource that SLIPWAY_METRICS_SOURCE names, made once per process."""
    return _metrics_source(settings.SLIPWAY_METRICS_SOURCE)


@cache
def _metrics_source(path: str) -> MetricsSource:
    return cast(MetricsSource, import_string(path).from_settings())


def notifier() -> Notifier:
    """The Notifier that SLIPWAY_NOTIFIER names, made once per process."""
    return _notifier(settings.SLIPWAY_NOTIFIER)


@cache
def _notifier(path: str) -> Notifier:
    return cast(Notifier, import_string(path)())


def job_runner() -> JobRunner | None:
    """Where Kubernetes runs scoring jobs; None when this installation's own processes do."""
    return _job_runner(settings.SLIPWAY_SCORING_JOB_FILE) if settings.SLIPWAY_SCORING_JOB_FILE else None


@cache
def _job_runner(path: str) -> JobRunner:
    return cast(JobRunner, import_string("monitoring.adapters.kubernetes_jobs.KubernetesJobs")(path))
