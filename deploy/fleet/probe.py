"""Asking servers whether they are ready."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import aiohttp

from deploy.fleet.documents import HOST
from deploy.fleet.instance import Instance, State
from deploy.fleet.process import ProcessId

PATH = "/v2/health/ready"
TIMEOUT_S = 2.0
EVERY_S = {State.STARTING: 0.05, State.READY: 1.0}

Answered = Callable[[Instance, bool | None, str], None]


@dataclass
class Prober:
    """Probes each starting or ready instance at its interval and reports to `answered`."""

    session: aiohttp.ClientSession
    answered: Answered
    _last: dict[ProcessId, float] = field(default_factory=dict)
    _underway: dict[ProcessId, asyncio.Task[None]] = field(default_factory=dict)

    def look(self, instances: Iterable[Instance], now: float) -> None:
        """Start the probes that are due."""
        probed = {item.process: item for item in instances if item.process and item.state in EVERY_S}
        self._last = {process: at for process, at in self._last.items() if process in probed}
        for process, instance in probed.items():
            if process is None or process in self._underway:
                continue
            if now - self._last.get(process, float("-inf")) >= EVERY_S[instance.state]:
                self._last[process] = now
                task = asyncio.create_task(self._probe(instance, process))
                self._underway[process] = task

    async def _probe(self, instance: Instance, process: ProcessId) -> None:
        try:
            ready, message = await ask(self.session, instance.port)
        finally:
            del self._underway[process]
        # The instance may have got another process while this one was asked.
        if instance.process == process:
            self.answered(instance, ready, message)

    async def close(self) -> None:
        """Give up the probes under way."""
        tasks = list(self._underway.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask(session: aiohttp.ClientSession, port: int) -> tuple[bool | None, str]:
    """(ready, why not); ready is None when no answer came."""
    try:
        async with session.get(f"http://{HOST}:{port}{PATH}") as response:
            if response.status == 200:
                return True, ""
            return False, f"{PATH} answers {response.status}"
    except TimeoutError:
        return None, f"{PATH} gives no answer within {TIMEOUT_S:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return None, f"{PATH} cannot be reached: {error}"


def probing_session() -> aiohttp.ClientSession:
    """A client whose every probe opens a connection: what is asked is whether new clients get an answer."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
    )
