"""The scraper process against real HTTP servers."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest

from monitoring.adapters.scrape.collect import fetch_all
from monitoring.adapters.scrape.scraper import Scraper
from monitoring.adapters.scrape.targets import BadTargets, Target, read_targets
from monitoring.models import Scrape


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(2)
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(b"\xff\xfe" if self.path == "/binary" else b'a_total{b="c"} 1\n')

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(*targets: Target, timeout: float = 0.4):
    async def run():
        async with aiohttp.ClientSession() as session:
            return await fetch_all(session, targets, 1.0, timeout)

    return asyncio.run(run())


def test_targets_fail_one_by_one_and_within_the_time_out(address):
    paths = ("/metrics", "/slow", "/broken", "/binary")
    began = time.monotonic()
    found = fetch(*(Target(address, {"__metrics_path__": path}) for path in paths), Target("127.0.0.1:1"))
    assert time.monotonic() - began < 1.5
    assert [page.text is not None for page in found] == [True, False, False, False, False]
    assert "500" in found[2].problem
    assert all(page.problem for page in found[1:])


def test_a_list_of_targets_is_read_as_prometheus_reads_it(tmp_path):
    path = tmp_path / "targets.json"
    assert read_targets(path) == []
    path.write_text(json.dumps([{"targets": ["a:1", "a:2"], "labels": {"job": "x"}}, {"targets": ["a:1"]}]))
    assert [(t.address, dict(t.labels)) for t in read_targets(path)] == [
        ("a:1", {"job": "x"}), ("a:2", {"job": "x"}), ("a:1", {}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[1]", '[{"targets": "a:1"}]', '[{"targets": [], "labels": 3}]']
)
def test_a_broken_list_is_refused_by_name(tmp_path, text):
    path = tmp_path / "targets.json"
    path.write_text(text)
    with pytest.raises(BadTargets, match="targets.json"):
        read_targets(path)


@pytest.mark.django_db(transaction=True)
def test_the_process_stores_a_row_per_target_and_cycle_and_stops_when_told(address, tmp_path, monkeypatch):
    path = tmp_path / "targets.json"
    path.write_text(json.dumps([{"targets": [address, "127.0.0.1:1"], "labels": {"job": "x"}}]))
    scraper = Scraper(path, interval=0.1)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    cycles = []
    add = scraper._store.add

    def count(samples):
        add(samples)
        cycles.append(samples)
        if len(cycles) == 3:
            scraper.stop()

    monkeypatch.setattr(scraper._store, "add", count)
    scraper.run()
    assert Scrape.objects.filter(target__job="x", up=True).count() == 3
    assert Scrape.objects.filter(target__job="x", up=False).count() == 3
    assert Scrape.objects.filter(target__job="slipway-scraper").count() == 3
