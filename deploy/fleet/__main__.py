"""`python -m deploy.fleet --home $SLIPWAY_HOME --gateway 127.0.0.1:8001`."""

import argparse
import asyncio
import fcntl
import logging
import shlex
import signal
import sys
from pathlib import Path
from typing import IO

from deploy.fleet.probe import Prober, probing_session
from deploy.fleet.reconciler import Fleet
from deploy.fleet.servers import SERVING, Servers

log = logging.getLogger("slipway.fleet")
STEP_S = 0.05
TROUBLED_STEP_S = 1.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.fleet", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the SLIPWAY_HOME whose fleet to run")
    parser.add_argument("--gateway", metavar="HOST:PORT", help="the gateway's address, for targets.json")
    parser.add_argument(
        "--server", default=shlex.join(SERVING), help="the model server's command (default: %(default)s)"
    )
    return parser.parse_args(argv)


def lock(home: Path) -> IO[str] | None:
    """The right to be the only fleet of `home`, held until the process ends; None when another has it."""
    folder = home / "fleet"
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


async def run(fleet: Fleet) -> None:
    """Reconcile until SIGTERM or SIGINT, then stop every server."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    fleet.begin()
    async with probing_session() as session:
        prober = Prober(session, fleet.answered)
        while not stopping.is_set():
            try:
                fleet.step()
                prober.look(fleet.instances, fleet.clock().now)
                await asyncio.sleep(STEP_S)
            except OSError as error:
                log.error("cannot look: %s; trying again", error)
                await asyncio.sleep(TROUBLED_STEP_S)
        await prober.close()
    fleet.stop_all()
    while not fleet.step_down():
        await asyncio.sleep(STEP_S)


def main() -> int:
    """Exit status 0 after a signal, 1 when another fleet runs on this home."""
    options = arguments()
    options.home = options.home.resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        held = lock(options.home)
    except OSError as error:
        print(f"cannot use {options.home}: {error.strerror}", file=sys.stderr)
        return 1
    if held is None:
        print(f"another fleet is already running on {options.home}", file=sys.stderr)
        return 1
    with held:
        servers = Servers(options.home, shlex.split(options.server))
        asyncio.run(run(Fleet(options.home, servers, options.gateway)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
