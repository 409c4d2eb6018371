"""Loading the same pages into each kind of metrics store, for the contract suite."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Self

import pytest
import requests

from monitoring.adapters.memory import MemorySource
from monitoring.adapters.prometheus import PrometheusSource
from monitoring.adapters.prometheus.client import Access
from monitoring.adapters.scrape import ScrapeSource
from monitoring.adapters.scrape.collect import Collector, Fetched
from monitoring.adapters.scrape.exposition import PageParser
from monitoring.adapters.scrape.scraper import SELF
from monitoring.adapters.scrape.store import Store
from monitoring.adapters.scrape.targets import Target


class Feed:
    """Pages of targets by time."""

    def __init__(self) -> None:
        self.pages: dict[float, list[tuple[Target, str | None]]] = defaultdict(list)
        self.moved: dict[float, float] = {}

    def page(self, address: str, at: float, text: str | None, **labels: str) -> Self:
        """What a target said at Unix time `at`; None = it was down."""
        self.pages[at].append((Target(address, labels), text))
        return self

    def late(self, at: float, behind: float) -> Self:
        """The pages of `at` arrive after those of `behind`."""
        self.moved[at] = behind
        return self

    def arrivals(self) -> list[tuple[float, list[tuple[Target, str | None]]]]:
        """Moments with their pages, in the order in which they come in."""
        return sorted(self.pages.items(), key=lambda item: (self.moved.get(item[0], item[0]), -item[0]))

    def alive(self, until: float) -> Self:
        """The scraper goes on until then, whether or not there are targets."""
        last = max(self.pages)
        for second in range(1, int(until - last) + 1):
            self.pages[last + second] = []
        return self


class MemoryStore:
    def __init__(self, folder: Path) -> None:
        self._source = MemorySource()

    def load(self, feed: Feed, interval: float = 1.0) -> MemorySource:
        for at, pages in feed.arrivals():
            for target, text in pages:
                layout, values = PageParser().parse(text or "")
                for (name, labels), value in zip(layout.columns, values, strict=True):
                    everything = {**target.labels, "instance": target.address, **labels}
                    self._source.add(name, everything, at, float(value))
        return self._source

    def break_down(self, source: MemorySource) -> None:
        source.outage = "it was switched off"

    def close(self) -> None:
        pass


class ScrapeStore:
    def __init__(self, folder: Path) -> None:
        self.store, self.collector = Store(), Collector()

    def load(self, feed: Feed, interval: float = 1.0) -> ScrapeSource:
        for at, pages in feed.arrivals():
            fetched = [Fetched(target, at, text) for target, text in pages]
            fetched.append(Fetched(SELF, at, "slipway_scrape_duration_seconds 0.001\n"))
            self.store.add(self.collector.samples(fetched))
        return ScrapeSource(interval)

    def break_down(self, source: ScrapeSource) -> None:
        """Nothing to do: the feed has ended, and a scraper that stands still is unavailable."""

    def close(self) -> None:
        pass


class PrometheusStore:
    """A real Prometheus over blocks that promtool made of the pages."""

    def __init__(self, folder: Path) -> None:
        self._binary, self._tool = _find("prometheus"), _find("promtool")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, feed: Feed, interval: float = 1.0) -> PrometheusSource:
        text, data = self._folder / "feed.om", self._folder / "data"
        text.write_text(_openmetrics(feed))
        command = [self._tool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return PrometheusSource(Access(self._start(data), timeout=5, rest=0), scrape_interval=interval)

    def _start(self, data: Path) -> str:
        config = self._folder / "prometheus.yml"
        config.write_text("scrape_configs: []\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = (self._folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                self._binary, f"--config.file={config}", f"--storage.tsdb.path={data}",
                f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, self._process)
        return url

    def break_down(self, source: PrometheusSource) -> None:
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/-/ready", timeout=1).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.02)
    pytest.fail("Prometheus did not become ready; see prometheus.log in the test's folder.")


def _find(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed; apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def _openmetrics(feed: Feed) -> str:
    """All pages as OpenMetrics with time stamps, grouped by metric as the format asks."""
    lines: dict[str, list[str]] = defaultdict(list)
    for at, pages in feed.arrivals():
        lines["up"].append(f'up{{job="prometheus"}} 1 {at:.3f}')
        for target, text in pages:
            layout, values = PageParser().parse(text or "")
            for (name, own), value in zip(layout.columns, values, strict=True):
                labels = {**target.labels, "instance": target.address, **own}
                inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
                lines[name].append(f"{name}{{{inner}}} {float(value)!r} {at:.3f}")
    body = [line for name in lines for line in [f"# TYPE {name} unknown", *lines[name]]]
    return "\n".join([*body, "# EOF", ""]).replace(" nan ", " NaN ")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
