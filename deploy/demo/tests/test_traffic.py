"""The traffic generator against a small server that answers like the gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy.demo import tally, traffic
from deploy.demo.traffic import Replay, Row

DEADLINE = 10.0


class Gateway:
    """Answers `/{endpoint}/predict`; `status` and `version` may be changed while it runs."""

    def __init__(self) -> None:
        self.status = 200
        self.version: str | None = "1"
        self.body: dict = {"prediction": 2.0}
        self.delay = 0.0
        self.seen: list[tuple[str, dict, str | None]] = []

    async def predict(self, request: web.Request) -> web.Response:
        key = request.headers.get("x-slipway-key")
        self.seen.append((request.match_info["endpoint"], await request.json(), key))
        await asyncio.sleep(self.delay)
        headers = {"x-slipway-version": self.version} if self.version else {}
        return web.json_response(self.body, status=self.status, headers=headers)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_post("/{endpoint}/predict", gateway.predict)
    async with TestServer(app) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "ASK_EVERY", 0.01)


def replay(**kwargs) -> Replay:
    rows = [Row(b'{"features":[%d.0]}' % index, 2.0) for index in range(5)]
    return Replay("diabetes-production", rows, tally.EndpointTally("regression"), **kwargs)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
def start(server: TestServer, tmp_path: Path):
    running: list[asyncio.Task] = []

    def begin(item: Replay, rate: float = 500) -> asyncio.Task:
        base = str(server.make_url("")).rstrip("/")
        running.append(asyncio.create_task(traffic.run(tmp_path / tally.FILE, base, [item], rate)))
        return running[-1]

    yield begin
    for task in running:
        task.cancel()


async def test_good_answers_are_compared_with_the_labels(start, gateway) -> None:
    item = replay()
    start(item)
    await until(lambda: item.counted.ok >= 20)
    assert item.counted.failed == 0
    assert tally.quality("regression", item.counted.versions["1"]) == {"rmse": 0.0}
    assert {name for name, _, _ in gateway.seen} == {"diabetes-production"}
    assert {body["features"][0] for _, body, _ in gateway.seen} == {0.0, 1.0, 2.0, 3.0, 4.0}


async def test_a_bad_answer_is_blamed_on_the_version_that_gave_it(start, gateway) -> None:
    item = replay()
    start(item)
    await until(lambda: item.counted.ok > 0)
    before = time.time()
    gateway.status, gateway.version, gateway.body = 500, "3", {"error": "index out of range"}
    await until(lambda: item.counted.failed >= 3)
    first = item.counted.versions["3"].first_bad
    assert first is not None and first.code == "500" and "index out of range" in first.detail
    assert before <= first.at <= time.time()


async def test_an_answer_without_a_prediction_is_a_bad_one(start, gateway) -> None:
    item = replay()
    start(item)
    await until(lambda: item.counted.ok > 0)
    gateway.body = {"unexpected": True}
    await until(lambda: item.counted.failed >= 1)
    assert "unreadable" in item.counted.versions["1"].codes


async def test_a_gateway_that_is_down_is_counted_and_tried_again(start, gateway, server) -> None:
    item = replay()
    start(item)
    await until(lambda: item.counted.ok > 0)
    port = server.port
    await server.close()
    await until(lambda: item.counted.failed > 0)
    assert set(item.counted.versions) == {"1", tally.NO_VERSION}
    app = web.Application()
    app.router.add_post("/{endpoint}/predict", gateway.predict)
    answered = item.counted.ok
    async with TestServer(app, port=port):
        await until(lambda: item.counted.ok > answered)


async def test_requests_leave_on_schedule_even_when_nothing_is_answered(start, gateway) -> None:
    item = replay()
    start(item, rate=400)
    await until(lambda: item.counted.ok > 0)
    gateway.delay = 60
    sent, answered = item.counted.sent, item.counted.ok
    await until(lambda: item.counted.sent >= sent + 100)
    assert item.counted.ok <= answered + 10


async def test_requests_are_skipped_when_too_many_are_unanswered(start, gateway, monkeypatch) -> None:
    monkeypatch.setattr(traffic, "MOST_UNANSWERED", 10)
    item = replay()
    start(item)
    await until(lambda: item.counted.ok > 0)
    gateway.delay = 60
    await until(lambda: item.counted.skipped >= 5)
    assert item.unanswered == 10


async def test_nothing_is_counted_before_the_endpoint_answers_for_the_first_time(start, gateway) -> None:
    gateway.status, gateway.version = 404, None
    item = replay()
    start(item)
    await until(lambda: len(gateway.seen) >= 3)
    assert (item.counted.sent, item.counted.failed) == (0, 0)
    gateway.status, gateway.version = 200, "1"
    await until(lambda: item.counted.ok > 0)
    assert item.counted.failed == 0


async def test_the_rate_is_kept(start) -> None:
    item = replay()
    start(item, rate=200)
    await until(lambda: item.counted.sent > 0)
    begun, sent = time.monotonic(), item.counted.sent
    await until(lambda: item.counted.sent >= sent + 400)
    rate = 400 / (time.monotonic() - begun)
    assert 120 < rate < 260


async def test_users_have_sticky_keys(start, gateway) -> None:
    item = replay(users=3)
    start(item)
    await until(lambda: len(gateway.seen) >= 50)
    assert {key for _, _, key in gateway.seen} == {"user-0", "user-1", "user-2"}


async def test_without_users_there_is_no_key(start, gateway) -> None:
    start(replay())
    await until(lambda: len(gateway.seen) >= 5)
    assert {key for _, _, key in gateway.seen} == {None}


async def test_the_counters_are_written_while_running_and_when_stopped(start, tmp_path) -> None:
    item = replay()
    task = start(item)
    path = tmp_path / tally.FILE
    await until(path.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tally.read(path)["endpoints"]["diabetes-production"]["sent"] == item.counted.sent


def test_rows_are_replayed_as_the_server_wants_them(models: Path) -> None:
    replays = traffic.load(models, {"endpoints": {}}, users=0)
    assert [(item.endpoint, len(item.rows)) for item in replays] == [
        ("diabetes-production", 221),
        ("breast-cancer-production", 285),
    ]
    assert replays[0].rows[0].body.startswith(b'{"features":[')


def test_every_row_is_sent_once_before_any_is_sent_again() -> None:
    item = replay()
    order = item.shuffled()
    assert {next(order).body for _ in item.rows} == {row.body for row in item.rows}
