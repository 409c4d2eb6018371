"""Gateway, fleet and real model servers together: a release under load, and the faults it must survive."""

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from hashlib import sha256

import aiohttp
import numpy as np
import pytest
from scipy.stats import binom

from deploy.fleet.servers import SERVING
from deploy.fleet.tests.harness import fleet, until
from deploy.gateway.tests.rig import Rig
from deploy.serving.tests.models import linear

BODY = {"features": [[1.0, 2.0, 3.0]]}
EDGES = {"inputs": [], "outputs": [
    {"name": "y", "tensor": "y", "column": 0, "kind": "numeric", "edges": [0.0, 10.0, 20.0]}
]}  # fmt: skip


class Stack(Rig):
    """A rig whose servers are the fleet's."""

    def model(self, version, data=None, **changes):
        data = linear(metadata={"version": version}) if data is None else data
        path = self.home / f"{version}.onnx"
        path.write_bytes(data)
        digest = f"sha256:{sha256(data).hexdigest()}"
        return (
            version,
            None,
            {"artifact": str(path), "digest": digest, "warmup": 4, "histograms": EDGES} | changes,
        )

    async def ready(self, *versions):
        await asyncio.to_thread(self.fleet.ready, *versions)

    async def send(self, split, **changes):
        self.route(split, **changes)
        await self.applied(split)

    async def ask_on(self, results):
        while True:
            status, headers, _ = await self.ask(json=BODY)
            results.append((time.monotonic(), status, headers.get("x-slipway-version")))

    @asynccontextmanager
    async def load(self):
        """Requests without a pause by 4 clients; gives the growing list of (time, status, version)."""
        results = []
        clients = [asyncio.create_task(self.ask_on(results)) for _ in range(4)]
        try:
            await asyncio.sleep(0.2)
            yield results
            await asyncio.sleep(0.5)
            assert not any(client.done() for client in clients)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


@asynccontextmanager
async def serving(home):
    """Version 1 of a real model behind the gateway."""
    with fleet(home, SERVING) as servers:
        stack = Stack(home)
        stack.fleet = servers
        stack.route([("1", 100)])
        servers.want(stack.model("1"))
        stack.start_gateway()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as stack.client:
                await stack.ready("1")
                await stack.until(lambda: one_ready(stack))
                yield stack
        finally:
            stack.process.kill()
            stack.process.wait()


async def one_ready(stack):
    return (await stack.routes())["d"]["ready"].get("1") == 1


@pytest.fixture
async def stack(tmp_path):
    async with serving(tmp_path) as found:
        yield found


async def test_a_prediction_comes_back_through_the_gateway(stack):
    status, headers, body = await stack.ask(json=BODY)
    assert (status, headers["x-slipway-version"]) == (200, "1"), body
    assert np.isclose(json.loads(body)["predictions"][0], 14.5)
    _, _, text = await stack.ask("/d/predict", data=b"no json")
    assert "error" in json.loads(text)


async def test_a_whole_release_fails_not_one_request(stack):
    """Canary, promotion, retirement of the old version, and a replacement of the servers, under load."""
    async with stack.load() as results:
        stack.fleet.want(stack.model("1"), stack.model("2"))
        await stack.ready("1", "2")
        for weight in (5, 25, 50):
            await stack.send([("2", weight), ("1", 100 - weight)])
            await asyncio.sleep(0.5)
        await stack.send([("2", 100)])
        stack.fleet.want(stack.model("2"))
        (old,) = await asyncio.to_thread(stack.fleet.ready, "2")
        stack.fleet.want(stack.model("2", threads=2))
        await asyncio.to_thread(
            until, lambda: old["pid"] not in {item["pid"] for item in stack.fleet.status()}
        )
        await stack.ready("2")
    assert {status for _, status, _ in results} == {200}
    assert len(results) > 500 and {version for *_, version in results} == {"1", "2"}
    assert await stack.metric("model_predictions_total", status="unreachable") == 0


async def test_what_each_version_predicted_adds_up_to_the_split(stack):
    stack.fleet.want(stack.model("1"), stack.model("2"))
    await stack.ready("1", "2")
    await stack.send([("2", 10), ("1", 90)])
    found = await stack.tally(2_000, json=BODY)
    low, high = binom.interval(0.999, 2_000, 0.1)
    assert low <= found["2"] <= high
    for entry in stack.fleet.status():
        url = f"http://127.0.0.1:{entry['port']}/metrics"
        async with stack.client.get(url) as response:
            text = await response.text()
        counted = sum(
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("model_predictions_total") and 'status="ok"' in line
        )
        assert counted == found[entry["version"]]


async def test_a_killed_server_costs_requests_only_while_it_is_down(stack):
    async with stack.load() as results:
        (entry,) = stack.fleet.status()
        killed = time.monotonic()
        os.kill(entry["pid"], signal.SIGKILL)
        await asyncio.to_thread(until, lambda: stack.fleet.status()[0]["restarts"] == 1)
        await stack.ready("1")
        back = time.monotonic()
    failed = [at for at, status, _ in results if status != 200]
    assert failed and all(killed <= at <= back + 0.2 for at in failed)
    assert {status for _, status, _ in results} <= {200, 502, 503}
    assert abs(await stack.metric("model_predictions_total", status="unreachable") - len(failed)) <= 4


async def test_a_killed_fleet_costs_no_request(stack):
    async with stack.load() as results:
        stack.fleet.kill()
        await asyncio.sleep(0.5)
        stack.fleet.start()
        log = stack.home / "fleet.log"
        await asyncio.to_thread(until, lambda: "adopted" in log.read_text())
    assert {status for _, status, _ in results} == {200} and len(results) > 100


@pytest.mark.parametrize(
    ("data", "digest"),
    [(b"not a model", None), (b"", None), (linear()[:100], None), (linear(), "sha256:" + "0" * 64)],
    ids=["garbage", "empty", "truncated", "wrong digest"],
)
async def test_a_model_that_can_never_be_served_fails_with_one_line_and_the_old_one_goes_on(
    stack, data, digest
):
    stack.fleet.want(stack.model("1"), stack.model("2", data, **({"digest": digest} if digest else {})))
    await asyncio.to_thread(until, lambda: ("2", "failed") in stack.fleet.states())
    entry = next(item for item in stack.fleet.status() if item["version"] == "2")
    assert entry["message"] and "Traceback" not in entry["message"] and entry["restarts"] == 0
    assert (await stack.ask(json=BODY))[0] == 200
