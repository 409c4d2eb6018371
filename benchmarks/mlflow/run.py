# ruff: noqa: E501
"""`python benchmarks/mlflow/run.py [--quick]`: MLflow's own server beside Slipway's MLflow protocol.

Both have two gunicorn workers with threads, the same PostgreSQL, the same content and the same requests,
interleaved. CPU is that of the server and the database together. Slipway checks a token and writes an audit
entry; MLflow runs without authentication.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import requests

from benchmarks.mlflow import content, servers
from tests.servers.postgres import Postgres

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Ask:
    """A request to be timed; `target` is the least ratio of CPU that is wanted."""

    name: str
    send: Callable[[Client], requests.Response]
    times: int
    target: float


class Client:
    """One connection to one server."""

    def __init__(self, server: servers.Server) -> None:
        self.server = server
        self.session = requests.Session()
        if server.token:
            self.session.headers["Authorization"] = f"Bearer {server.token}"
        self.run = ""

    def get(self, path: str, **query: object) -> requests.Response:
        return self._checked(self.session.get(f"{self.server.url}/api/2.0/mlflow/{path}", params=query))

    def post(self, path: str, **body: object) -> requests.Response:
        return self._checked(self.session.post(f"{self.server.url}/api/2.0/mlflow/{path}", json=body))

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code != 200:
            raise RuntimeError(f"{self.server.name}: {answer.status_code} {answer.text[:500]}")
        return answer

    def begin_run(self) -> None:
        """A run with a metric of 10,000 points."""
        created = self.post("runs/create", experiment_id="0", start_time=1)
        self.run = created.json()["run"]["info"]["run_id"]
        for start in range(0, 10_000, 1000):
            self.batch("history", start)

    def batch(self, key: str, start: int) -> requests.Response:
        points = [
            {"key": key, "value": n / 7, "timestamp": 1_700_000_000_000 + n, "step": n}
            for n in range(start, start + 1000)
        ]
        return self.post("runs/log-batch", run_id=self.run, metrics=points)


def asks(models: int, large: int, scale: float) -> list[Ask]:
    n = next
    versions = {"filter": "name = 'large'"}
    found = [
        ("create version", lambda c: c.post("model-versions/create", name="model-1", source="s3://b/x"), 300, 2),
        ("get version", lambda c: c.get("model-versions/get", name="model-2", version="7"), 400, 2),
        ("get by alias", lambda c: c.get("registered-models/alias", name="large", alias="champion"), 400, 2),
        ("get model of 50", lambda c: c.get("registered-models/get", name="model-3"), 400, 2),
        (f"get model of {large:,}", lambda c: c.get("registered-models/get", name="large"), 150, 10),
        (f"set alias on {large:,}", lambda c: c.post("registered-models/alias", name="large", alias="x", version=str(1 + n(_NUMBERS) % 9)), 100, 10),
        (f"set tag on {large:,}", lambda c: c.post("registered-models/set-tag", name="large", key="t", value=str(n(_NUMBERS))), 100, 10),
        ("search 100 versions", lambda c: c.get("model-versions/search", max_results=100, **versions), 100, 10),
        (f"search {large:,} versions", lambda c: c.get("model-versions/search", max_results=10_000, **versions), 10, 10),
        ("search 100 models", lambda c: c.get("registered-models/search", max_results=100), 40, 10),
        ("search models by 3 tags", lambda c: c.get("registered-models/search", max_results=10, filter="tags.key1 = 'value' AND tags.key2 = 'value' AND tags.key3 = 'value'"), 100, 2),
        ("log metric", lambda c: c.post("runs/log-metric", run_id=c.run, key="m", value=1.5, timestamp=n(_NUMBERS), step=1), 400, 2),
        ("log batch of 1,000", lambda c: c.batch("b", 1000 * n(_NUMBERS)), 20, 10),
        ("history of 10,000", lambda c: c.get("metrics/get-history", run_id=c.run, metric_key="history", max_results=25_000), 10, 10),
    ]  # fmt: skip
    return [Ask(name, send, max(5, int(times * scale)), target) for name, send, times, target in found]


def measure(
    ask: Ask, clients: list[Client], postgres: Postgres, rounds: int
) -> dict[str, tuple[float, list[float]]]:
    """CPU milliseconds per request and the latencies, for each server; in turns."""
    used: dict[str, float] = {client.server.name: 0.0 for client in clients}
    took: dict[str, list[float]] = {client.server.name: [] for client in clients}
    for client in clients:
        for _ in range(3):
            ask.send(client)
    each = max(1, ask.times // rounds)
    for _ in range(rounds):
        for client in clients:
            processes = [*client.server.tree(), *servers.of_database(postgres)]
            before = servers.cpu(processes)
            for _ in range(each):
                started = time.perf_counter()
                ask.send(client)
                took[client.server.name].append(1000 * (time.perf_counter() - started))
            used[client.server.name] += servers.cpu(processes) - before
    return {name: (1000 * used[name] / (each * rounds), took[name]) for name in used}


def throughput(client: Client, seconds: float) -> float:
    """Requests per second for one model at eight connections."""
    deadline = time.monotonic() + seconds

    def work(_: int) -> int:
        mine, done = Client(client.server), 0
        while time.monotonic() < deadline:
            mine.get("registered-models/get", name="model-3")
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(work, range(8))) / seconds


HEAD = (
    "| call | MLflow CPU ms | Slipway CPU ms | ratio | wanted | MLflow p50 / p95 ms | Slipway p50 / p95 ms |\n"
    "|---|---|---|---|---|---|---|"
)


def show(ask: Ask, result: dict[str, tuple[float, list[float]]]) -> None:
    """One line of the table, as soon as it is known."""
    (theirs, slow), (ours, quick) = result["MLflow"], result["Slipway"]
    ratio = theirs / max(ours, 0.001)
    print(
        f"| {ask.name} | {theirs:.1f} | {ours:.2f} | {ratio:.1f} | {ask.target:g} | "
        f"{_latency(slow)} | {_latency(quick)} |",
        flush=True,
    )


def _latency(values: list[float]) -> str:
    ordered = sorted(values)
    return (
        f"{statistics.median(ordered):.1f} / {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.1f}"
    )


def main() -> int:
    quick = "--quick" in sys.argv
    models, large, scale, rounds = (120, 500, 0.2, 2) if quick else (200, 2000, 1.0, 4)
    folder = servers.temporary_folder()
    running: list[servers.Server] = []
    try:
        with Postgres() as postgres:
            sizes = (models, 50, large)
            running.append(servers.mlflow_server(postgres, folder))
            running.append(servers.slipway_server(postgres, folder, sizes))
            servers.fill(postgres, "mlflow", content.mlflow(*sizes))
            servers.fill(postgres, "slipway", [])
            clients = [Client(server) for server in running]
            for client in clients:
                client.begin_run()
            print(HEAD, flush=True)
            for ask in asks(models, large, scale):
                show(ask, measure(ask, clients, postgres, rounds))
            for client in clients:
                rate = throughput(client, 3 if quick else 10)
                print(
                    f"{client.server.name}: {rate:.0f} models of 50 versions read per second at 8 connections"
                )
    finally:
        for server in running:
            server.stop()
        servers.remove(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
