"""What a fleet leaves behind for the next one: which processes are its servers.

A killed fleet's servers go on serving, and the next fleet takes them over. Every server carries the
home's mark in its environment; one that carries it and is not in the file was started in the last
moment of a killed fleet, and is ended.
"""

import logging
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.files import BadFile, parse_object, write_json
from deploy.fleet.instance import Instance, load, save
from deploy.fleet.process import ProcessId, marked, runs, send
from deploy.fleet.servers import MARK

log = logging.getLogger("slipway.fleet")


def remember(path: Path, instances: Iterable[Instance]) -> None:
    """Write the instances for the next fleet."""
    write_json(path, {"instances": [save(item) for item in instances]})


def recall(path: Path, now: float) -> list[Instance]:
    """The instances of the fleet before this one; none when the file is missing or unreadable."""
    try:
        document = parse_object(path.read_bytes())
        return [load(item, now) for item in document["instances"]]
    except FileNotFoundError:
        return []
    except (BadFile, KeyError, TypeError, ValueError) as error:
        log.error("%s is unreadable (%r): servers started before are replaced", path, error)
        return []


def take_over(instances: Iterable[Instance], mark: str) -> set[ProcessId]:
    """Recognise the recalled processes among those that carry `mark`; returns the strangers among them.

    An instance whose process is gone stays as it is: the next look finds that it ended.
    """
    running = marked(MARK, mark)
    for item in instances:
        if item.process in running:
            running.discard(item.process)
            log.info("%s: adopted pid %d", item.name, item.process.pid)
    return running


@dataclass
class Strangers:
    """Ends servers that no instance accounts for: asks them first, kills them after `limit` seconds."""

    processes: set[ProcessId]
    kill_at: float

    def dismiss(self) -> None:
        """Ask them to stop."""
        for identity in self.processes:
            log.warning("ending pid %d: a server of this home that is not on record", identity.pid)
            send(identity, signal.SIGTERM)

    def look(self, now: float) -> None:
        """Forget those that ended, kill the others when it is time."""
        self.processes = {identity for identity in self.processes if runs(identity)}
        if now >= self.kill_at:
            for identity in self.processes:
                send(identity, signal.SIGKILL)
