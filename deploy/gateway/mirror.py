"""Copies of requests to versions that do not answer them: after the answer, bounded, never in its way."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

from deploy.gateway.metrics import Series
from deploy.gateway.table import Table
from deploy.gateway.upstream import Request, Unreachable, Upstream

COPIES = 64
"""Copies under way to one version; more than it keeps up with are dropped."""
BYTES = 64 << 20
"""Bodies held for copies, all together."""


@dataclass
class Mirrors:
    """Sends copies in the background and counts how they fared."""

    table: Table
    upstream: Upstream
    copies: int = COPIES
    bytes: int = BYTES
    _held: int = 0
    _underway: Counter[tuple[str, str]] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def send(self, endpoint: str, version: str, request: Request, series: Series) -> None:
        """Start a copy of `request` to `version`, or count it as dropped when too much is under way."""
        size = len(request.body)
        if self._underway[endpoint, version] >= self.copies or self._held + size > self.bytes:
            series.mirrored["dropped"] += 1
            return
        self._underway[endpoint, version] += 1
        self._held += size
        task = asyncio.get_running_loop().create_task(self._copy(endpoint, version, request, series))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _copy(self, endpoint: str, version: str, request: Request, series: Series) -> None:
        try:
            outcome = await self._outcome(endpoint, version, request)
            series.mirrored[outcome] += 1
            series.unreachable += outcome == "unreachable"
        finally:
            self._underway[endpoint, version] -= 1
            self._held -= len(request.body)

    async def _outcome(self, endpoint: str, version: str, request: Request) -> str:
        instance = self.table.pick(endpoint, version)
        if instance is None:
            return "unreachable"
        marked = replace(request, headers=[*request.headers, ("x-slipway-mirror", "1")])
        try:
            async with self.upstream.send(instance, marked) as answer:
                if answer.chunks is not None:
                    async for _ in answer.chunks:
                        pass
                return "error" if answer.status >= 500 else "ok"
        except Unreachable:
            return "unreachable"

    async def close(self) -> None:
        """Give up the copies under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
