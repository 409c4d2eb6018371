"""Where measurements come from, whatever stores them, and where notices go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from monitoring.domain.histogram import Histogram
from monitoring.domain.notices import Message
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window

# Values of the `by` labels, in their order; "" for a label that a series lacks.
Group = tuple[str, ...]
# Label → the value, or the values of which one must match.
Where = Mapping[str, str | Collection[str]]


class MetricsSource(Protocol):
    """Aggregated answers over a window, one entry per group of `by` label values.

    A group without a sample in the window is missing. Counters may restart at any time. Every method
    raises MetricsUnavailable when the provider does not answer or has stopped collecting.
    """

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        """How much the counters of a group grew over the window; Prometheus extrapolates, others do not."""

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        """The observations that histogram `metric` (without `_bucket`) took in over the window."""

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        """Increase per second in each step (t − step, t] for t in `window.grid(step)`; NaN = not known.

        Right however far apart samples are: where a step is shorter, their gain is spread over the steps
        between them.
        """

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        """The observations of each step for t in `window.grid(step)`, spread as in `rates`; 0 = unknown."""

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        """The sum over a group of each series' last value in the window, without those of down targets."""

    def gauges(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        """`latest` of each step for t in `window.grid(step)`; NaN where a step has no sample."""

    def expression(self, query: str, *, window: Window, step: float) -> Series:
        """What a PromQL query that yields one number is at each t in `window.grid(step)`; NaN = nothing.

        MetricsUnavailable too when the source speaks no PromQL, or the query yields several series.
        """


class Notifier(Protocol):
    """Sends text to chats, mailboxes and services that a URL names."""

    def describe(self, url: str) -> str:
        """The service and, where that is no secret, the host: "Slack", "E-Mail at example.com".

        Invalid when nothing can be sent to the URL; its text never repeats the URL.
        """

    def send(self, url: str, message: Message) -> None:
        """Sends it now, within seconds; NotSent says why it did not arrive."""


class JobRunner(Protocol):
    """Runs scoring jobs elsewhere."""

    def start(self, job: int, claim: str) -> None:
        """Has `manage.py score --job <job> --claim <claim>` run once; Unavailable when it cannot."""
