"""Asking a metrics source no more than needed: once per question, and many questions at once.

Gates that ask for the same numbers share the answer; looks that are due at one moment share the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from monitoring.domain.histogram import Histogram
from monitoring.domain.series import HistogramSeries, Series
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import Group, MetricsSource, Where


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a MetricsSource as a value: `method` with its arguments; `metric` may be a whole query."""

    method: str
    metric: str
    by: tuple[str, ...]
    conditions: tuple[tuple[str, str | tuple[str, ...]], ...]
    window: Window
    step: float | None = None

    @classmethod
    def of(
        cls, method: str, metric: str, by: Sequence[str], where: Where, window: Window, step: float | None
    ) -> Question:
        conditions = tuple(sorted((k, v if isinstance(v, str) else tuple(v)) for k, v in where.items()))
        return cls(method, metric, tuple(by), conditions, window, step)

    @property
    def where(self) -> Where:
        return dict(self.conditions)

    def ask(self, source: MetricsSource) -> Any:
        rest = {} if self.step is None else {"step": self.step}
        call: Callable[..., Any] = getattr(source, self.method)
        if self.method == "expression":
            return call(self.metric, window=self.window, **rest)
        return call(self.metric, by=self.by, where=self.where, window=self.window, **rest)


class _Asked:
    """The methods of a MetricsSource over one method that takes the question as a value."""

    def _answer(self, question: Question) -> Any:
        raise NotImplementedError

    def increase(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return cast(
            dict[Group, float], self._answer(Question.of("increase", metric, by, where, window, None))
        )

    def histogram(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window
    ) -> dict[Group, Histogram]:
        found = self._answer(Question.of("histogram", metric, by, where, window, None))
        return cast(dict[Group, Histogram], found)

    def rates(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        return cast(dict[Group, Series], self._answer(Question.of("rates", metric, by, where, window, step)))

    def histogram_series(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, HistogramSeries]:
        found = self._answer(Question.of("histogram_series", metric, by, where, window, step))
        return cast(dict[Group, HistogramSeries], found)

    def latest(self, metric: str, *, by: Sequence[str], where: Where, window: Window) -> dict[Group, float]:
        return cast(dict[Group, float], self._answer(Question.of("latest", metric, by, where, window, None)))

    def gauges(
        self, metric: str, *, by: Sequence[str], where: Where, window: Window, step: float
    ) -> dict[Group, Series]:
        return cast(dict[Group, Series], self._answer(Question.of("gauges", metric, by, where, window, step)))

    def expression(self, query: str, *, window: Window, step: float) -> Series:
        return cast(Series, self._answer(Question.of("expression", query, (), {}, window, step)))


class CachedSource(_Asked):
    """A MetricsSource that remembers the answers, and the outages, of another for as long as it lives."""

    def __init__(self, source: MetricsSource, answers: Mapping[Question, Any] | None = None) -> None:
        self._source = source
        self._answers: dict[Question, Any] = dict(answers or {})

    def _answer(self, question: Question) -> Any:
        if question not in self._answers:
            try:
                self._answers[question] = question.ask(self._source)
            except MetricsUnavailable as error:
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, MetricsUnavailable):
            raise answer
        return answer


class Recorder(_Asked):
    """A MetricsSource that answers nothing and keeps what it was asked."""

    def __init__(self) -> None:
        self.questions: dict[Question, None] = {}

    def _answer(self, question: Question) -> Any:
        self.questions[question] = None
        raise MetricsUnavailable("The questions are being collected; nothing was asked yet.")


def ask_together(source: MetricsSource, questions: Iterable[Question]) -> CachedSource:
    """A source that has the answers to these questions already.

    One request per metric family and end of window where the source can ask many questions at once
    (`batches`); elsewhere each question is asked when its answer is needed.
    """
    wanted = list(dict.fromkeys(questions))
    answer: Callable[[list[Question]], Mapping[Question, Any]] | None = getattr(source, "answer", None)
    return CachedSource(source, answer(wanted) if answer is not None and wanted else None)
