"""`python -m deploy.gateway --home $SLIPWAY_HOME --port 8001`."""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from deploy.gateway.app import Gateway
from deploy.gateway.metrics import Metrics
from deploy.gateway.mirror import Mirrors
from deploy.gateway.routes import Route
from deploy.gateway.table import Table
from deploy.gateway.upstream import Upstream

PORT_IN_USE = 4
BACKLOG = 2048


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the SLIPWAY_HOME whose routes to apply")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds of silence before a 504")
    return parser.parse_args(argv)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. SO_REUSEADDR lets it follow a killed gateway on the same port at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


async def serve(options: argparse.Namespace, listener: socket.socket) -> None:
    """Run until SIGTERM or SIGINT; requests under way are finished first."""
    metrics = Metrics()

    def announce(route: Route) -> None:
        for version in route.versions:
            metrics.series(route.endpoint, route.model, version)

    table = Table(options.home, announce)
    table.refresh()
    async with Upstream(options.timeout) as upstream:
        mirrors = Mirrors(table, upstream)
        config = uvicorn.Config(
            Gateway(table, upstream, metrics, mirrors),
            http="httptools", ws="none", lifespan="off", loop="none", interface="asgi3",
            log_config=None, access_log=False, server_header=False, date_header=False, proxy_headers=False,
            timeout_keep_alive=75, timeout_graceful_shutdown=int(options.timeout), backlog=BACKLOG,
        )  # fmt: skip
        follower = asyncio.create_task(table.follow())
        try:
            await uvicorn.Server(config).serve(sockets=[listener])
        finally:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
            await mirrors.close()


def main() -> int:
    """Exit status 0 after a signal, 4 when the port is in use."""
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return PORT_IN_USE
    # uvicorn stops gracefully on these and then raises them again for whoever listened before it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(serve(options, listener))
    return 0


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # uvloop has no wheels for Windows
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


if __name__ == "__main__":
    sys.exit(main())
