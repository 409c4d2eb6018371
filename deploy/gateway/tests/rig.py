"""A real gateway process in front of servers that run inside the test."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from deploy.files import write_json
from deploy.fleet.ports import free_port

ROOT = Path(__file__).resolve().parents[3]


class Upstream:
    """A server of one version; it remembers what it was asked."""

    def __init__(self, version):
        self.version = version
        self.requests = []
        self.release = asyncio.Event()
        self.cancelled = 0
        self.port = 0

    async def start(self):
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def handle(self, request):
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.raw_path, headers, body))
        path = request.path
        if path == "/hang":
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if path == "/reset":
            request.transport.abort()
        if path == "/stream":
            return await self.stream(request, parts=5)
        if path == "/broken-stream":
            return await self.stream(request, parts=2, broken=True)
        if path == "/fail":
            return web.json_response({"error": "no"}, status=500)
        if path == "/large":
            return web.Response(body=b"x" * (3 << 20))
        return web.json_response(
            {"version": self.version, "length": len(body)},
            headers=[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-encoding", "identity")],
        )

    async def stream(self, request, parts, broken=False):
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(parts):
            await response.write(f"part {number};".encode())
            await asyncio.sleep(0.01)
        if broken:
            request.transport.abort()
        return response

    async def stop(self):
        self.release.set()
        await self.runner.cleanup()


class Rig:
    """`home` with a gateway that follows it; `upstreams` by version."""

    def __init__(self, home, options=()):
        self.home = home
        self.options = options
        self.port = free_port()
        self.upstreams = {}
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def route(self, split, endpoint="d", **changes):
        items = [{"version": version, "weight": weight} for version, weight in split]
        document = {"endpoint": endpoint, "model": "m", "split": items, **changes}
        write_json(self.home / "gateway" / "routes" / f"{endpoint}.json", document)

    def status(self, *entries):
        """`entries`: (version, port) or (version, port, state)."""
        listed = [
            {
                "version": version, "instance": f"d-{version}-{port}", "host": "127.0.0.1", "port": port,
                "state": rest[0] if rest else "ready",
            }
            for version, port, *rest in entries
        ]  # fmt: skip
        write_json(self.home / "fleet" / "status.json", {"at": time.time(), "endpoints": {"d": listed}})

    def start_gateway(self):
        command = [sys.executable, "-m", "deploy.gateway", "--home", self.home, "--port", str(self.port)]
        with (self.home / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command), *self.options], cwd=ROOT, stderr=log, env={**os.environ}
            )

    async def until(self, condition, seconds=30.0):
        """Wait until the coroutine function `condition` gives something true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = await condition()
            except aiohttp.ClientError:
                found = None
            if found:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(
            f"not within {seconds} s; gateway log:\n{(self.home / 'gateway.log').read_text()}"
        )

    async def routes(self):
        async with self.client.get(f"{self.url}/-/routes") as response:
            return (await response.json())["endpoints"]

    async def applied(self, split, endpoint="d"):
        """Wait until the gateway reports that it applies these weights."""

        async def same():
            found = (await self.routes()).get(endpoint, {"split": []})["split"]
            return [(item["version"], item["weight"]) for item in found] == split

        await self.until(same)

    async def ask(self, path="/d/predict", **options):
        async with self.client.post(URL(f"{self.url}{path}", encoded=True), **options) as response:
            return response.status, response.headers, await response.read()

    async def tally(self, count, json=None, headers=lambda number: {}):
        """Versions that answered `count` requests, with 16 under way at a time; anything but 200 fails."""
        found, numbers = Counter(), iter(range(count))

        async def worker():
            for number in numbers:
                status, answer, body = await self.ask(json=json or {"n": number}, headers=headers(number))
                assert status == 200, body
                found[answer["x-slipway-version"]] += 1

        await asyncio.gather(*(worker() for _ in range(16)))
        return found

    async def metric(self, name, **labels):
        async with self.client.get(f"{self.url}/metrics") as response:
            text = await response.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def running(home, versions=("1", "3"), options=()):
    """A rig whose gateway runs and whose servers are ready; version 1 gets all requests."""
    rig = Rig(home, options)
    for version in versions:
        rig.upstreams[version] = Upstream(version)
        await rig.upstreams[version].start()
    rig.status(*((version, upstream.port) for version, upstream in rig.upstreams.items()))
    rig.route([("1", 100)])
    rig.start_gateway()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as rig.client:
            await rig.applied([("1", 100)])
            yield rig
    finally:
        rig.process.kill()
        rig.process.wait()
        for upstream in rig.upstreams.values():
            await upstream.stop()
