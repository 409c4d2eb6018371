"""The project's own app: it ties the others together."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from controlplane import processes


class ControlplaneConfig(AppConfig):
    name = "controlplane"
    verbose_name = "Control plane"

    def ready(self) -> None:
        from controlplane import checks

        checks.register()
        if settings.SLIPWAY_TRACES:
            from controlplane import tracing

            try:
                tracing.start()
            except ImportError as error:
                raise ImproperlyConfigured(
                    f"SLIPWAY_TRACES is on, but {error.name} is not installed: pip install 'slipway[traces]'."
                ) from error
        if processes.is_worker():
            processes.measure_tasks(settings.SLIPWAY_METRICS_PORT)
        if settings.CELERY_BROKER_URL:
            # Tasks are sent through the app that is current, so it must exist in every process.
            from controlplane.celery import app

            app.set_default()
