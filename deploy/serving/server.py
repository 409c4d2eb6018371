"""The process around the service: socket, signals, loading, draining, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import TYPE_CHECKING

import uvicorn

from .admission import Admission, State
from .allocator import keep_freed_memory
from .asgi import Application
from .config import Options
from .errors import LoadError
from .fast_http import protocol_for
from .loading import Loaded
from .service import Service
from .tensors import quiet_overflow

if TYPE_CHECKING:
    from .rpc.server import RpcServer

# Another start may go better: the artifact's source was away, memory was short.
EXIT_FAILED = 1
EXIT_CANNOT_LOAD = 3
EXIT_PORT_IN_USE = 4
# After SIGTERM, requests may still be on their way until those who send them have noticed; only a
# time without any says that they have.
QUIET_SECONDS = 0.5
POLL_SECONDS = 0.02


class Server(uvicorn.Server):
    """uvicorn, with loading beside serving, and a SIGTERM that drains first and exits with 0."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.admission = Admission(options)
        self.exit_code = 0
        self._rpc: RpcServer | None = None
        self._background: set[asyncio.Task[None]] = set()
        service = Service(self.admission)
        super().__init__(
            uvicorn.Config(
                Application(service),
                loop="uvloop",
                http=protocol_for(service),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",  # a line for every port scanner's garbage helps nobody
                access_log=False,
                server_header=False,
                backlog=2048,
                timeout_keep_alive=options.keep_alive_seconds,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            self.admission.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.options.grpc_port >= 0:
            await self._start_grpc()
        self._spawn(self._load())

    async def _start_grpc(self) -> None:
        from .rpc.server import RpcServer  # its libraries take time and memory that only its users need

        options = self.options
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._rpc = RpcServer(self.admission)
        try:
            port = await self._rpc.start(f"{host}:{options.grpc_port}")
        except RuntimeError:
            self._rpc = None
            _say(f"{host}:{options.grpc_port} is in use; choose another --grpc-port")
            self.exit_code = EXIT_PORT_IN_USE
            self.should_exit = True
            return
        if options.grpc_port == 0:
            _say(f"gRPC on port {port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self._rpc is not None:
            await self._rpc.stop(1.0)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _load(self) -> None:
        try:
            repository = self.admission.repository
            for loaded, slot in zip(await repository.load_all(), repository.slots.values(), strict=True):
                _say(describe(slot.options, loaded))
        except LoadError as error:
            self._fail(str(error), EXIT_CANNOT_LOAD)
            return
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}", EXIT_FAILED)
            return
        self.admission.ready()

    def _fail(self, reason: str, code: int) -> None:
        _say(f"cannot serve {self.options.model} {self.options.model_version}: {reason}")
        self.exit_code = code
        self.should_exit = True

    def _asked_to_stop(self) -> None:
        if self.admission.state is State.DRAINING:
            self.force_exit = self.should_exit = True
            return
        self.admission.drain()
        self._spawn(self._drain())

    async def _drain(self) -> None:
        asked = perf_counter()
        limit = asked + self.options.drain_seconds
        while (now := perf_counter()) < limit:
            quiet = now - max(asked, self.admission.last_prediction)
            if not self.admission.in_flight and quiet >= QUIET_SECONDS:
                break
            await asyncio.sleep(POLL_SECONDS)
        self.config.timeout_graceful_shutdown = max(1, round(limit - perf_counter()))
        self.should_exit = True


def serve(options: Options, listener: socket.socket) -> int:
    """Serve until told to stop; returns the exit code."""
    quiet_overflow()
    keep_freed_memory()
    try:
        server = Server(options)
    except LoadError as error:
        _say(f"cannot start: {error}")
        return EXIT_CANNOT_LOAD
    server.run(sockets=[listener])
    return server.exit_code


def describe(options: Options, loaded: Loaded) -> str:
    """What loading found out, in one line."""
    note = "".join(f"; {text}" for text in (loaded.profile.note, loaded.model.note) if text)
    how = "inline" if loaded.inline else "in a thread"
    mergeable = loaded.profile.mergeable
    batches = f"in batches of up to {loaded.tuning.max_batch}" if mergeable else "one request at a time"
    size = f"{loaded.memory / 2**20:.1f} MiB"
    return (f"{options.model} {options.model_version} is ready after {loaded.seconds:.3f} s "
            f"with {size}, runs {how}, {batches}{note}")  # fmt: skip


def _say(text: str) -> None:
    line = " ".join(text.split())
    print(f"slipway-serving: {line}", file=sys.stderr, flush=True)
