"""What can go wrong while measuring."""

from __future__ import annotations

from registry.errors import DomainError, Unavailable


class MetricsUnavailable(Unavailable):
    """The metrics provider did not answer, or its data has stopped; says nothing about any model."""

    code = "metrics_unavailable"


class MetricsGone(MetricsUnavailable):
    """The provider works and has nothing of the time that was asked for: not yet then, or not any more."""


class BadExposition(ValueError):
    """A target's /metrics page is not Prometheus text."""


class Overloaded(DomainError):
    """More arrives than is kept: send it again after `retry_after` seconds."""

    code = "overloaded"
    status = 429

    def __init__(self, message: str, retry_after: int, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class BadSetting(ValueError):
    """A setting cannot be used; the text says why."""


class NotSent(Exception):
    """A notice did not go out; the text says why and holds no secret of its target."""


class Unreachable(Exception):
    """A webhook gave no answer; the text says why and does not repeat its address."""
