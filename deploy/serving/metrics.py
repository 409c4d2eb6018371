"""What the server measures about itself and its model."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping

from .exposition import Family, Histogram, Sample, header
from .histograms import ProfileHistograms

OUTCOMES = ("ok", "rejected", "error", "overloaded", "timeout")
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_PAGE = os.sysconf("SC_PAGE_SIZE")


def no_queue() -> int:
    """The depth of the queue of a model that is not there."""
    return 0


class Metrics:
    """Counters of one served version, labelled with its endpoint, model and version."""

    def __init__(self, endpoint: str, model: str, version: str) -> None:
        self.labels = {"endpoint": endpoint, "model": model, "model_version": version}
        self.predictions = {
            outcome: Sample("model_predictions_total", {**self.labels, "status": outcome})
            for outcome in OUTCOMES
        }
        self.prediction_seconds = Histogram("model_prediction_seconds", self.labels)
        self.queue_seconds = Histogram("model_queue_seconds", self.labels)
        self.compute_seconds = Histogram("model_compute_seconds", self.labels)
        self.batch_size = Histogram("model_batch_size", self.labels, BATCH_SIZES)
        self.load_seconds = Sample("model_load_seconds", self.labels)
        self.queue_depth: Callable[[], int] = no_queue
        self.histograms: ProfileHistograms | None = None
        self._queue_depth = Sample("model_queue_depth", self.labels)
        self._info: Sample | None = None
        self._memory = Sample("model_memory_bytes", self.labels)
        self._cache: tuple[Sample, Sample] | None = None

    def loaded(self, digest: str, seconds: float, memory: int, histograms: ProfileHistograms) -> None:
        """The model is there: its digest, what loading and warm-up took, its distributions."""
        self._info = Sample("model_info", {**self.labels, "digest": digest}, 1)
        self.load_seconds.value = round(seconds, 6)
        self._memory.value = memory
        self.histograms = histograms

    def cache_counters(self) -> tuple[Sample, Sample]:
        """Counters of hits and misses of the response cache; they are exported once asked for."""
        if self._cache is None:
            hits = Sample("model_cache_requests_total", {**self.labels, "result": "hit"})
            misses = Sample("model_cache_requests_total", {**self.labels, "result": "miss"})
            self._cache = (hits, misses)
        return self._cache

    def finished(self, outcome: str, seconds: float) -> None:
        """Count one answered request; `seconds` is its whole time in the server."""
        self.predictions[outcome].value += 1
        self.prediction_seconds.observe(seconds)

    def families(self) -> Iterator[Family]:
        """Every family of this version with its samples in text format."""
        self._queue_depth.value = self.queue_depth()
        predictions = "".join(sample.text() for sample in self.predictions.values())
        yield "model_predictions_total", "counter", "Requests, by how they ended.", predictions
        for name, text, series in (
            ("model_prediction_seconds", "Whole time of a request in the server.", self.prediction_seconds),
            ("model_queue_seconds", "Time a request waited for its run.", self.queue_seconds),
            ("model_compute_seconds", "Time of the model run a request was part of.", self.compute_seconds),
            ("model_batch_size", "Rows per model run.", self.batch_size),
        ):
            yield name, "histogram", text, series.text()
        yield "model_queue_depth", "gauge", "Requests waiting for a run.", self._queue_depth.text()
        if self._info is not None:
            loading = "Time to verify, load and warm up the model."
            yield "model_load_seconds", "gauge", loading, self.load_seconds.text()
            yield "model_memory_bytes", "gauge", "Growth of the process while it loaded.", self._memory.text()
            yield "model_info", "gauge", "The served artifact.", self._info.text()
        if self._cache is not None:
            text = "".join(sample.text() for sample in self._cache)
            yield "model_cache_requests_total", "counter", "Look-ups in the response cache.", text
        if self.histograms is not None:
            yield from self.histograms.families()

    def text(self) -> str:
        """This version alone in Prometheus text format, and the process."""
        return exposition([self])


def exposition(versions: Iterable[Metrics], more: Iterable[Family] = ()) -> str:
    """All versions in Prometheus text format: each family once, as the format asks, and the process."""
    heads: dict[str, str] = {}
    bodies: dict[str, list[str]] = {}
    for name, kind, text, samples in (*(item for one in versions for item in one.families()), *more):
        heads.setdefault(name, header(name, kind, text))
        bodies.setdefault(name, []).append(samples)
    parts = [part for name, head in heads.items() for part in (head, *bodies[name])]
    return "".join(parts) + process_text()


def process_text(labels: Mapping[str, str] | None = None) -> str:
    """CPU time and memory of this process, under the names every Prometheus client uses."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = Sample("process_cpu_seconds_total", labels or {}, round(usage.ru_utime + usage.ru_stime, 6))
    memory = Sample("process_resident_memory_bytes", labels or {}, _resident_bytes(usage.ru_maxrss))
    return (
        header("process_cpu_seconds_total", "counter", "User and system CPU time.")
        + cpu.text()
        + header("process_resident_memory_bytes", "gauge", "Resident memory.")
        + memory.text()
    )


def resident_bytes() -> int:
    """Resident memory of this process."""
    return _resident_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _resident_bytes(peak_kibibytes: int) -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:  # no procfs outside Linux: the peak is the closest there is
        return peak_kibibytes * 1024
