"""Traces over OTLP: a request, the tick that carries it out, and what the tick asks of the world.

Off unless SLIPWAY_TRACES is set; needs the packages of the extra `traces`. Where they go and how many of them
is said by OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from registry import telemetry

PREFIX = "slipway."


def start() -> Any:
    """Steps become spans that are sent in the background; the provider that sends them.

    Raises ImportError without the packages.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # OTEL_SERVICE_NAME, when it is set, wins over the name that is given here.
    provider = TracerProvider(resource=Resource.create({"service.name": "slipway"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    telemetry.use(OpenTelemetry(provider))
    return provider


class OpenTelemetry:
    """Spans of an OpenTelemetry provider."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer("slipway")

    @contextmanager
    def span(self, name: str, ids: Mapping[str, Any], parent: str) -> Iterator[None]:
        """See `telemetry.Tracer`; an exception that leaves the step marks the span as failed."""
        inside = self._trace.get_current_span().get_span_context().is_valid
        context = self._propagator.extract({"traceparent": parent}) if parent and not inside else None
        attributes = {f"{PREFIX}{key}": str(value) for key, value in ids.items()}
        with self._tracer.start_as_current_span(name, context=context, attributes=attributes):
            yield

    def traceparent(self) -> str:
        """See `telemetry.Tracer`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")
