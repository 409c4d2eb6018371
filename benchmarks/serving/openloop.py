"""An open-loop client: requests start when they are due, whether or not earlier ones were answered.

Run as a program on a CPU of its own; prints one JSON line. A closed loop (wrk) slows down with the server
and so never overloads it for long.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

TICK_SECONDS = 0.002
MOST_CONNECTIONS = 1024


class Connection(asyncio.Protocol):
    """One request at a time; `client` hears of each answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.due = 0.0
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, due: float) -> None:
        self.due = due
        self.transport.write(self.client.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        data = self.received + data
        head, found, body = data.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            self.received = data
            return
        self.received = b""
        self.client.answered(self, int(data[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.client.lost(self)


class Client:
    """Sends `rate` requests per second; 0 keeps `connections` busy instead, which measures capacity."""

    def __init__(self, port: int, request: bytes, rate: float, connections: int) -> None:
        self.port, self.request, self.rate = port, request, rate
        self.connections = connections
        self.free: list[Connection] = []
        self.open = 0
        self.unsent = 0
        self.statuses: dict[int, int] = {}
        self.latencies: list[float] = []

    async def run(self, seconds: float) -> dict[str, float]:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._connect() for _ in range(self.connections)))
        if not self.rate:
            while self.free:
                self.free.pop().ask(time.perf_counter())
        start = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) - start < seconds:
            while self.rate and sent < (now - start) * self.rate:
                due = start + sent / self.rate
                sent += 1
                if self.free:
                    self.free.pop().ask(due)
                elif self.open < MOST_CONNECTIONS:
                    self.open += 1
                    loop.create_task(self._connect_and_ask(due))
                else:
                    self.unsent += 1  # a real client has a pool, too
            await asyncio.sleep(TICK_SECONDS)
        took = time.perf_counter() - start
        latencies = sorted(self.latencies) or [0.0]
        return {
            "good": self.statuses.get(200, 0) / took,
            "refused": self.statuses.get(503, 0) / took,
            "late": self.statuses.get(504, 0) / took,
            "other": sum(n for status, n in self.statuses.items() if status not in (200, 503, 504)),
            "unsent": self.unsent / took,
            "p50": latencies[len(latencies) // 2] * 1000,
            "p99": latencies[int(len(latencies) * 0.99)] * 1000,
            "connections": self.open,
        }

    def answered(self, connection: Connection, status: int) -> None:
        now = time.perf_counter()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.latencies.append(now - connection.due)
        if self.rate:
            self.free.append(connection)
        else:
            connection.ask(now)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection in self.free:
            self.free.remove(connection)

    async def _connect(self) -> None:
        self.open += 1
        self.free.append(await self._connection())

    async def _connect_and_ask(self, due: float) -> None:
        (await self._connection()).ask(due)

    async def _connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        return protocol


def main() -> None:
    port, rate, connections, seconds, body = sys.argv[1:]
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    client = Client(int(port), (head + body).encode(), float(rate), int(connections))
    print(json.dumps(uvloop.run(client.run(float(seconds)))))


if __name__ == "__main__":
    main()
