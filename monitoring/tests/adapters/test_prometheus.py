"""What PrometheusSource does when the server is slow, broken or lies, and how it asks."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from monitoring.adapters.prometheus import PrometheusSource, promql
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable

WINDOW = Window.last(60, datetime(2026, 1, 1, 12, tzinfo=UTC))


class FakePrometheus(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.status, self.delay = "{}", 200, 0.0
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def rows(self, *rows) -> None:
        self.answer = json.dumps({"status": "success", "data": {"result": list(rows)}})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append({k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()})
        self.server.headers.append(dict(self.headers))
        time.sleep(self.server.delay)
        body = self.server.answer.encode()
        with contextlib.suppress(BrokenPipeError):  # the client may have lost its patience
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = FakePrometheus()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def ask(server, **options):
    source = PrometheusSource(server.url, timeout=1, **options)
    return source.increase("a_total", by=("v",), where={"endpoint": "prod"}, window=WINDOW)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("", 200),
        ("<html>proxy login</html>", 200),
        ("{}", 200),
        ("[]", 200),
        ('{"data": {"result": null}}', 200),
        ('{"data": {"result": {"a": 1}}}', 200),
        ('{"data": {"result": ["lies"]}}', 200),
        ('{"data": {"result": [{"metric": {}}]}}', 200),
        ('{"data": {"result": [{"metric": {}, "value": [1767268800, "many"]}]}}', 200),
        ('{"status": "error", "error": "query timed out"}', 503),
        ('{"status": "error", "error": "bad data"}', 400),
        ("denied", 403),
    ],
)
def test_an_answer_that_is_no_answer_is_an_outage(server, answer, status):
    server.answer, server.status = answer, status
    with pytest.raises(MetricsUnavailable):
        ask(server)


def test_a_server_that_stalls_is_an_outage_after_the_time_out(server):
    server.delay = 1.5
    began = time.monotonic()
    with pytest.raises(MetricsUnavailable, match="timed out"):
        ask(server)
    assert time.monotonic() - began < 5


def test_nan_is_no_data_and_not_a_number(server):
    server.rows({"metric": {"v": "1"}, "value": [WINDOW.end.timestamp(), "NaN"]})
    assert ask(server) == {}


def test_one_question_is_one_request_at_the_end_of_the_window(server):
    server.rows({"metric": {"v": "1"}, "value": [WINDOW.end.timestamp(), "7.5"]})
    assert ask(server) == {("1",): 7.5}
    (asked,) = server.asked
    assert asked["query"] == 'sum by (v) (increase(a_total{endpoint="prod"}[60000ms]))'
    assert float(asked["time"]) == WINDOW.end.timestamp()


def test_tokens_tenants_and_passwords_are_sent(server):
    server.rows()
    ask(server, headers={"Authorization": "Bearer t", "X-Scope-OrgID": "ml"})
    ask(server, auth=("user", "secret"))
    assert server.headers[0]["Authorization"] == "Bearer t"
    assert server.headers[0]["X-Scope-OrgID"] == "ml"
    assert server.headers[1]["Authorization"].startswith("Basic ")


def test_ranges_hold_enough_scrapes_to_have_a_rate(server):
    server.rows()
    source = PrometheusSource(server.url, scrape_interval=15, timeout=1)
    source.rates("a_total", by=(), where={}, window=WINDOW, step=5)
    assert "[60000ms]" in server.asked[0]["query"]
    assert server.asked[0]["step"] == "5.000"


@pytest.mark.parametrize(("metric", "where"), [("a b", {}), ("a", {"x y": "1"}), ("a{}", {})])
def test_what_is_no_name_never_reaches_the_server(metric, where):
    with pytest.raises(ValueError, match="is no"):
        promql.increase(metric, (), where, 60)
    with pytest.raises(ValueError, match="label name"):
        promql.increase("a", ("le) or vector(1",), {}, 60)


def test_values_are_escaped():
    assert promql.selector("a", {"v": 'x"\\'}) == 'a{v="x\\"\\\\"}'
    assert promql.selector("a", {"v": ["1.5", "2"]}) == 'a{v=~"1\\\\.5|2"}'
