"""The gateway as a process of its own, asked over HTTP."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
import time

import aiohttp
import pytest
from scipy.stats import binom

from deploy.fleet.ports import free_port
from deploy.gateway.tests.rig import ROOT, running

BODY = {"features": [1, 2, 3]}


@pytest.fixture
async def rig(tmp_path):
    async with running(tmp_path) as found:
        yield found


async def test_a_request_reaches_the_server_unchanged_and_its_answer_comes_back(rig):
    status, headers, body = await rig.ask(
        "/d/v2/models/m%20x/infer?a=b%2Fc&d", json=BODY, headers={"x-request-id": "id-7", "te": "trailers"}
    )
    method, path, seen, sent = rig.upstreams["1"].requests[-1]
    assert (status, method, path) == (200, "POST", "/v2/models/m%20x/infer?a=b%2Fc&d")
    assert json.loads(sent) == BODY
    assert seen["x-request-id"] == "id-7" and seen["x-forwarded-for"] == "127.0.0.1"
    assert "te" not in seen
    assert (headers["x-slipway-version"], headers["x-request-id"]) == ("1", "id-7")
    assert headers.getall("set-cookie") == ["a=1", "b=2"]
    assert json.loads(body)["version"] == "1"


async def test_a_request_without_an_id_gets_one(rig):
    _, headers, _ = await rig.ask()
    assert rig.upstreams["1"].requests[-1][2]["x-request-id"] == headers["x-request-id"]


async def test_get_and_the_bare_endpoint_are_passed_on(rig):
    async with rig.client.get(f"{rig.url}/d") as response:
        assert response.status == 200
    assert rig.upstreams["1"].requests[-1][:2] == ("GET", "/")


async def test_head_has_the_headers_of_the_answer_and_no_body(rig):
    for _ in range(3):  # a body left in the connection would be taken for the next answer
        async with rig.client.head(f"{rig.url}/d/predict") as response:
            assert (response.status, response.headers["x-slipway-version"]) == (200, "1")
            assert int(response.headers["content-length"]) > 0 and await response.read() == b""


async def test_addresses_that_a_client_claims_are_added_to_and_not_believed(rig):
    await rig.ask(headers={"x-forwarded-for": "6.6.6.6"})
    assert rig.upstreams["1"].requests[-1][2]["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"


@pytest.mark.parametrize("weight", [5, 25])
async def test_traffic_is_split_by_weight_within_the_binomial_interval(rig, weight):
    rig.route([("3", weight), ("1", 100 - weight)])
    await rig.applied([("3", weight), ("1", 100 - weight)])
    count = 2_500
    found = await rig.tally(count)
    low, high = binom.interval(0.999, count, weight / 100)
    assert low <= found["3"] <= high
    assert found["1"] == count - found["3"]


async def test_a_sticky_key_stays_with_the_candidate_as_its_weight_grows(rig):
    reached: set[int] = set()
    for weight in (5, 25, 50):
        split = [("3", weight), ("1", 100 - weight)]
        rig.route(split, sticky={"header": "x-slipway-key"})
        await rig.applied(split)
        now = set()
        for number in range(150):
            _, headers, _ = await rig.ask(headers={"x-slipway-key": f"user-{number}"})
            if headers["x-slipway-version"] == "3":
                now.add(number)
        assert reached <= now
        reached = now
    assert 50 < len(reached) < 100


async def test_a_matching_header_reaches_the_preview(rig):
    rig.route([("1", 100)], matches=[{"header": "x-slipway-version", "value": "preview", "version": "3"}])

    async def preview():
        _, headers, _ = await rig.ask(headers={"X-Slipway-Version": "preview"})
        return headers["x-slipway-version"] == "3"

    await rig.until(preview)
    _, headers, _ = await rig.ask(headers={"x-slipway-version": "other"})
    assert headers["x-slipway-version"] == "1"


async def test_weights_change_under_load_without_one_failed_request(rig):
    load = asyncio.create_task(rig.tally(4_000))
    changes = 0
    while not load.done():
        weight = (changes * 10) % 101
        rig.route([("3", weight), ("1", 100 - weight)])
        changes += 1
        await asyncio.sleep(0.06)
    found = await load
    assert sum(found.values()) == 4_000 and changes > 5
    assert set(found) == {"1", "3"}


async def test_a_changed_file_is_applied_within_100_ms(rig):
    delays = []
    for weight in (10, 20, 30, 40, 50):
        split = [("3", weight), ("1", 100 - weight)]
        started = time.monotonic()
        rig.route(split)
        await rig.applied(split)
        delays.append(time.monotonic() - started)
    assert sorted(delays)[2] < 0.1


async def test_mirrored_requests_are_copies_and_change_nothing_for_the_client(rig):
    rig.route([("1", 100)], mirror=[{"version": "3", "percent": 100}])

    async def mirrored():
        await rig.ask(json=BODY, headers={"x-request-id": "same"})
        return rig.upstreams["3"].requests

    method, path, headers, body = (await rig.until(mirrored))[-1]
    assert (method, path, json.loads(body)) == ("POST", "/predict", BODY)
    assert (headers["x-request-id"], headers["x-slipway-mirror"]) == ("same", "1")


async def test_a_hanging_or_dead_mirror_neither_delays_nor_fails_the_request(rig):
    rig.route([("1", 100)], mirror=[{"version": "3", "percent": 100}, {"version": "4", "percent": 100}])

    async def seen():
        await rig.ask()
        return await rig.metric("gateway_mirrored_total", model_version="4", outcome="unreachable")

    await rig.until(seen)
    rig.upstreams["1"].release.set()
    started = time.monotonic()
    for _ in range(100):
        status, _, _ = await rig.ask("/d/hang")
        assert status == 200
    assert time.monotonic() - started < 5
    assert len(rig.upstreams["3"].requests) >= 64
    assert await rig.metric("gateway_mirrored_total", model_version="3", outcome="dropped") >= 36
    assert await rig.metric("model_predictions_total", model_version="4", status="unreachable") > 0
    assert await rig.metric("model_predictions_total", model_version="1", status="unreachable") == 0


async def test_an_unknown_endpoint_gets_a_404_that_says_so(rig):
    status, _, body = await rig.ask("/nothing/predict")
    assert status == 404 and "nothing" in json.loads(body)["error"]


async def test_a_version_without_a_ready_server_gets_503(rig):
    rig.status(("1", rig.upstreams["1"].port, "draining"))

    async def refused():
        status, headers, body = await rig.ask()
        return (
            status == 503 and headers["retry-after"] == "1" and "no ready server" in json.loads(body)["error"]
        )

    await rig.until(refused)
    assert await rig.metric("model_predictions_total", status="unreachable", model_version="1") >= 1


async def test_a_refused_connection_gets_502_and_counts_as_unreachable(rig):
    rig.status(("1", free_port()))

    async def refused():
        status, _, body = await rig.ask()
        return status == 502 and "refused" in json.loads(body)["error"]

    await rig.until(refused)
    assert await rig.metric("model_predictions_total", status="unreachable", model_version="1") >= 1
    assert await rig.metric("gateway_requests_total", code="502") >= 1


async def test_a_broken_connection_gets_502_and_the_request_is_not_sent_again(rig):
    status, _, body = await rig.ask("/d/reset")
    assert status == 502 and "broke off" in json.loads(body)["error"]
    assert [path for _, path, _, _ in rig.upstreams["1"].requests].count("/reset") == 1


async def test_an_error_of_the_server_is_passed_on_and_is_the_server_s(rig):
    status, headers, body = await rig.ask("/d/fail")
    assert (status, json.loads(body), headers["x-slipway-version"]) == (500, {"error": "no"}, "1")
    assert await rig.metric("model_predictions_total", status="unreachable") == 0


async def test_answers_of_unknown_length_are_streamed(rig):
    async with rig.client.get(f"{rig.url}/d/stream") as response:
        chunks = [chunk async for chunk in response.content.iter_any()]
    assert b"".join(chunks) == b"part 0;part 1;part 2;part 3;part 4;" and len(chunks) > 1


async def test_large_answers_and_requests_pass_whole(rig):
    status, _, body = await rig.ask("/d/large")
    assert (status, len(body)) == (200, 3 << 20)
    status, _, body = await rig.ask(data=io.BytesIO(b"y" * (5 << 20)))
    assert (status, json.loads(body)["length"]) == (200, 5 << 20)


async def test_a_stream_that_breaks_off_is_not_passed_on_as_complete(rig):
    with pytest.raises(aiohttp.ClientError):
        async with rig.client.get(f"{rig.url}/d/broken-stream") as response:
            assert response.status == 200
            await response.read()


async def test_a_body_beyond_the_limit_gets_413_without_being_read(rig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(b"POST /d/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n")
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()
    assert rig.upstreams["1"].requests == []


async def test_a_client_that_leaves_ends_the_request_upstream(rig):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(rig.ask("/d/hang"), 0.6)

    async def cancelled():
        return rig.upstreams["1"].cancelled == 1

    await rig.until(cancelled)
    assert await rig.metric("gateway_requests_total", code="499") == 1
    assert await rig.metric("gateway_inflight") == 0


async def test_silence_gets_504(tmp_path):
    async with running(tmp_path, options=("--timeout", "0.5")) as rig:
        status, _, body = await rig.ask("/d/hang")
        assert status == 504 and "0.5 s" in json.loads(body)["error"]
        assert await rig.metric("model_predictions_total", status="unreachable") == 1


async def test_a_killed_gateway_is_replaced_on_the_same_port_at_once(rig):
    await rig.tally(50)
    rig.process.kill()
    rig.process.wait()
    started = time.monotonic()
    rig.start_gateway()
    await rig.applied([("1", 100)])
    assert (await rig.tally(50))["1"] == 50
    assert time.monotonic() - started < 5


async def test_sigterm_lets_requests_under_way_finish(rig):
    answer = asyncio.create_task(rig.ask("/d/hang"))

    async def arrived():
        return rig.upstreams["1"].requests

    await rig.until(arrived)
    rig.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    rig.upstreams["1"].release.set()
    status, _, _ = await answer
    assert status == 200
    assert await asyncio.to_thread(rig.process.wait, 10) == 0


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "deploy.gateway", "--home", tmp_path, "--port", str(port)],
            cwd=ROOT, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


async def test_every_request_is_counted_by_code_and_in_the_histogram(rig):
    await rig.tally(120)
    assert await rig.metric("gateway_requests_total", model_version="1", code="200") == 120
    assert await rig.metric("gateway_request_seconds_count", endpoint="d", model="m") == 120
    async with rig.client.get(f"{rig.url}/-/health") as response:
        assert await response.json() == {"status": "ok"}
