"""What PrometheusSource does when the server is slow, broken or lies, and how it asks."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from monitoring.adapters.cached import Question, ask_together
from monitoring.adapters.prometheus import PrometheusSource, promql
from monitoring.adapters.prometheus.client import Access, Client
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable

WINDOW = Window.last(60, datetime(2026, 1, 1, 12, tzinfo=UTC))


class FakePrometheus(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.status, self.delay = "{}", 200, 0.0
        self.refusals = 0
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def rows(self, *rows) -> None:
        self.answer = json.dumps({"status": "success", "data": {"result": list(rows)}})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append({k: v[0] for k, v in parse_qs(form).items()})
        self.server.headers.append(dict(self.headers))
        time.sleep(self.server.delay)
        body = self.server.answer.encode()
        with contextlib.suppress(BrokenPipeError):  # the client may have lost its patience
            self.server.refusals -= 1
            self.send_response(503 if self.server.refusals >= 0 else self.server.status)
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


def source_of(server, *, heartbeat="", scrape_interval=15.0, **options):
    access = Access(server.url, timeout=1, backoff=0, **options)
    return PrometheusSource(access, heartbeat=heartbeat, scrape_interval=scrape_interval)


def ask(server, **options):
    source = source_of(server, **options)
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
        ('{"data": {"result": [{"metric": {"v": "1"}, "value": [1767268800, "-3"]}]}}', 200),
        ('{"data": {"result": [{"metric": {"v": "1"}, "value": [1767268800, "+Inf"]}]}}', 200),
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


def test_tokens_tenants_passwords_and_further_headers_are_sent(server):
    server.rows()
    ask(server, token="t", tenant="ml", headers={"X-Team": "risk"})
    ask(server, auth=("user", "secret"))
    assert server.headers[0]["Authorization"] == "Bearer t"
    assert server.headers[0]["X-Scope-OrgID"] == "ml"
    assert server.headers[0]["THANOS-TENANT"] == "ml"
    assert server.headers[0]["X-Team"] == "risk"
    assert server.headers[1]["Authorization"].startswith("Basic ")


def test_secrets_are_in_no_message_and_no_representation(server):
    server.answer, server.status = "denied", 403
    with pytest.raises(MetricsUnavailable) as refused:
        ask(server, token="hunter2", auth=("user", "hunter2"), headers={"X-Key": "hunter2"})
    assert "hunter2" not in str(refused.value) + repr(Access(server.url, token="hunter2", key="hunter2"))


def test_a_server_that_is_busy_is_asked_again(server):
    server.rows({"metric": {"v": "1"}, "value": [WINDOW.end.timestamp(), "7"]})
    server.refusals = 2
    assert ask(server, retries=2) == {("1",): 7.0}
    assert len(server.asked) == 3
    server.refusals = 3
    with pytest.raises(MetricsUnavailable, match="503"):
        ask(server, retries=2)


def test_a_query_that_is_wrong_is_asked_once(server):
    server.answer, server.status = '{"status": "error", "error": "bad data"}', 400
    with pytest.raises(MetricsUnavailable):
        ask(server, retries=5)
    assert len(server.asked) == 1


def test_after_an_outage_the_source_rests_and_says_so_at_once():
    clock = [0.0]
    client = Client(Access("http://127.0.0.1:9", timeout=1, retries=0, rest=2), lambda: clock[0])
    attempts = []

    def try_it():
        with pytest.raises(MetricsUnavailable, match="refused"):
            client.instant("up", 0, attempts.append)
        return client._rests_until

    assert try_it() == 2
    clock[0] = 1.9
    assert try_it() == 2, "it did not even try"
    clock[0] = 2.1
    assert try_it() == pytest.approx(6.1), "the second rest is longer"
    for _ in range(10):
        clock[0] = client._rests_until
        try_it()
    assert client._rests_until - clock[0] == 15, "but never so long that a recovery goes unnoticed"


def test_one_bad_query_does_not_silence_the_others(server):
    source = source_of(server)
    server.answer, server.status = "no such function", 400
    with pytest.raises(MetricsUnavailable):
        source.increase("a_total", by=("v",), where={}, window=WINDOW)
    server.status = 200
    server.rows({"metric": {"v": "1"}, "value": [WINDOW.end.timestamp(), "7"]})
    assert source.increase("a_total", by=("v",), where={}, window=WINDOW) == {("1",): 7.0}


def test_ranges_hold_enough_scrapes_to_have_a_rate(server):
    server.rows()
    source = source_of(server)
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


def test_many_questions_of_a_family_are_one_request(server):
    at = WINDOW.end.timestamp()
    windows = [Window.last(60 + index, WINDOW.end) for index in range(3)]
    questions = [
        Question.of("increase", "a_total", ("v",), {"endpoint": str(index)}, window, None)
        for index, window in enumerate(windows)
    ]
    server.rows(
        {"metric": {"v": "1", promql.QUESTION: "2"}, "value": [at, "7"]},
        {"metric": {"v": "1", promql.QUESTION: "0"}, "value": [at, "5"]},
    )
    source = source_of(server)
    cached = ask_together(source, questions)
    answers = [question.ask(cached) for question in questions]
    assert answers == [{("1",): 5.0}, {}, {("1",): 7.0}]
    (asked,) = server.asked
    assert all(f"[{60 + index}000ms]" in asked["query"] for index in range(3))


def test_more_questions_than_one_query_should_carry_are_asked_in_parts(server):
    server.rows()
    where = [{"endpoint": f"e{number}"} for number in range(401)]
    asked = [Question.of("increase", "m_total", (), item, WINDOW, None) for item in where]
    found = source_of(server).answer(asked)
    assert (len(server.asked), len(found)) == (3, 401)
    assert max(len(item["query"]) for item in server.asked) < 40_000


def test_when_the_joint_request_fails_every_question_is_unanswered_and_not_asked_again(server):
    server.answer, server.status = "denied", 403
    questions = [
        Question.of("increase", "a_total", ("v",), {"endpoint": name}, WINDOW, None) for name in "abc"
    ]
    cached = ask_together(source_of(server), questions)
    for question in questions:
        with pytest.raises(MetricsUnavailable):
            question.ask(cached)
    assert len(server.asked) == 1


def test_a_provider_that_collects_nothing_is_an_outage_whatever_it_counts(server):
    end = WINDOW.end.timestamp()
    counted = {"metric": {"v": "1"}, "value": [end, "7"]}

    def beat(age):
        return {"metric": {promql.HEARTBEAT: "1"}, "value": [end, str(end - age)]}

    server.rows(counted, beat(30))
    assert ask(server, heartbeat="up") == {("1",): 7.0}
    server.rows(counted, beat(200))
    with pytest.raises(MetricsUnavailable, match="collects nothing.* 200 s old"):
        ask(server, heartbeat="up")
    server.rows(counted)
    with pytest.raises(MetricsUnavailable, match="collects nothing"):
        ask(server, heartbeat="up")


def test_what_is_of_another_day_is_no_answer(server):
    yesterday = WINDOW.end.timestamp() - 86_400
    server.rows({"metric": {"v": "1"}, "value": [yesterday, "7"]})
    assert ask(server) == {}
