"""Figures and looks of 1, 50 and 500 endpoints on one Prometheus: asked together, and one by one.

One by one is what a client that asks per endpoint does, through the same library. Exits 1 when the number of
requests depends on the number of endpoints, but for a part per TOGETHER_AT_MOST looks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from monitoring.adapters.cached import ask_together
from monitoring.adapters.prometheus import PrometheusSource
from monitoring.adapters.prometheus.client import Access
from monitoring.adapters.prometheus.source import TOGETHER_AT_MOST
from monitoring.analysis import Subject, judge, questions
from monitoring.domain.judge import DEFAULT_GATES, parse_gates
from monitoring.domain.window import Window
from monitoring.queries.overview import endpoints_overview
from tests.metrics.fleet import Server
from tests.servers.pages import Page, Proxy
from tests.servers.prometheus import Prometheus

SIZES = (1, 50, 200, 500)
NAMES = [f"e{number}" for number in range(max(SIZES))]
GATES = parse_gates(DEFAULT_GATES)
PROFILE = {"outputs": [{"name": "y", "kind": "numeric", "edges": [1.0], "counts": [1, 1]}]}


def main() -> int:
    with ExitStack() as stack:
        servers = [Server(name, version, 40.0, 0.02) for name in NAMES for version in ("1", "2")]
        page = stack.enter_context(Page(lambda: "".join(server.text() for server in servers)))
        prometheus = stack.enter_context(Prometheus([{"targets": [page.address]}], interval=2.0))
        prometheus.until_scraping()
        time.sleep(8)
        proxy = stack.enter_context(Proxy(prometheus.url))
        return _measure(proxy)


def _measure(proxy: Proxy) -> int:
    source = PrometheusSource(Access(proxy.url, timeout=60), scrape_interval=2.0)
    works: dict[str, Callable[[int], object]] = {
        "figures, together": lambda n: _figures(source, NAMES[:n]),
        "figures, one by one": lambda n: [_figures(source, [name]) for name in NAMES[:n]],
        "looks at 4 gates, together": lambda n: _looks(source, n, together=True),
        "looks at 4 gates, one by one": lambda n: _looks(source, n, together=False),
    }
    print(f"{'':<30}" + "".join(f"{f'{size} endpoints':>24}" for size in SIZES))
    constant = True
    for name, work in works.items():
        cells, requests = [], []
        for size in SIZES:
            proxy.asked.clear()
            began = time.perf_counter()
            work(size)
            requests.append(len(proxy.asked))
            cells.append(f"{requests[-1]:>8} req. {time.perf_counter() - began:>7.2f} s")
        print(f"{name:<30}" + "".join(f"{cell:>24}" for cell in cells))
        parts = [-(-size // TOGETHER_AT_MOST) if "looks" in name else 1 for size in SIZES]
        each = {count / part for count, part in zip(requests, parts, strict=True)}
        constant &= "one by one" in name or len(each) == 1
    return 0 if constant else 1


def _figures(source: PrometheusSource, names: list[str]) -> object:
    return endpoints_overview(source, names, Window.last(6, datetime.now(UTC)))


def _looks(source: PrometheusSource, count: int, *, together: bool) -> object:
    now = datetime.now(UTC)
    subjects = [
        Subject(name, "1", "2", Window(now - timedelta(seconds=6 + 0.01 * at), now), profile=PROFILE)
        for at, name in enumerate(NAMES[:count])
    ]
    asked = [q for subject in subjects for q in questions(GATES, subject, now)] if together else []
    known = ask_together(source, asked) if together else source
    return [judge(GATES, subject, known, now) for subject in subjects]


if __name__ == "__main__":
    sys.exit(main())
