"""What a line of the log and a span of a trace belong to: the request, the endpoint, the rollout.

`with step("tick", endpoint="churn", rollout=7):` names a piece of work. Its ids are on every line that is
logged inside, also by code that knows nothing of them. With a tracer in use (`use`), it is a span as well;
without one it costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

_ids: ContextVar[Mapping[str, Any]] = ContextVar("slipway_ids", default={})  # noqa: B039  never changed


class Tracer(Protocol):
    """Who keeps spans."""

    def span(self, name: str, ids: Mapping[str, Any], parent: str) -> AbstractContextManager[None]:
        """A span under the one that is open, or under `parent` (a W3C traceparent) when there is none."""

    def traceparent(self) -> str:
        """The open span as W3C traceparent; empty when there is none."""


_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on steps are spans of this tracer; None ends it."""
    global _tracer
    _tracer = tracer


@contextmanager
def step(name: str, *, parent: str = "", **ids: Any) -> Iterator[None]:
    """A piece of work and what it is about; ids that are None are left out."""
    known = {key: value for key, value in ids.items() if value is not None}
    token = _ids.set({**_ids.get(), **known})
    span = _tracer.span(name, known, parent) if _tracer else nullcontext()
    try:
        with span:
            yield
    finally:
        _ids.reset(token)


def ids() -> Mapping[str, Any]:
    """What the work under way is about."""
    return _ids.get()


def bind(**more: Any) -> None:
    """Adds what was found out inside a step; it is forgotten with the step."""
    _ids.set({**_ids.get(), **more})


def traceparent() -> str:
    """What to hand on so that later work joins the trace of a request; empty outside of one."""
    return _tracer.traceparent() if _tracer and "request_id" in _ids.get() else ""
