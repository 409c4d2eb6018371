"""What can go wrong while measuring."""

from __future__ import annotations

from registry.errors import Unavailable


class MetricsUnavailable(Unavailable):
    """The metrics provider did not answer, or its data has stopped; says nothing about any model."""

    code = "metrics_unavailable"


class BadExposition(ValueError):
    """A target's /metrics page is not Prometheus text."""
