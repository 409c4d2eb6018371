"""The fleet: looks at the desired files and at the processes, and brings the second nearer to the first.

Level-triggered: every step starts from what is, never from what was meant to happen, so that a step
may fail, or the fleet be killed between any two of them, and the next one goes on.
"""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.files import BadFile, FolderWatch, write_json
from deploy.fleet import documents, lifecycle, logs, memory
from deploy.fleet.instance import Instance, State
from deploy.fleet.lifecycle import Clock, Due
from deploy.fleet.plan import Start, Stop, plan
from deploy.fleet.ports import free_port
from deploy.fleet.process import Exit
from deploy.fleet.servers import KILL_S, Servers
from deploy.fleet.spec import Desired, Workload, parse_desired

log = logging.getLogger("slipway.fleet")
REPORT_EVERY_S = 1.0
ROTATE_EVERY_S = 10.0


def read_clock() -> Clock:
    """This moment."""
    return Clock(time.monotonic(), time.time())


@dataclass
class Fleet:
    """The servers under one SLIPWAY_HOME. `gateway` (host:port) is only passed on to `targets.json`."""

    home: Path
    servers: Servers
    gateway: str | None = None
    clock: Callable[[], Clock] = read_clock
    instances: list[Instance] = field(default_factory=list)
    desired: dict[str, Desired] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.home / "fleet"
        self._watch = FolderWatch(self.folder / "desired")
        self._strangers = memory.Strangers(set(), 0.0)
        self._reported: object = None
        self._trouble = ""
        self._reported_at = self._rotated_at = float("-inf")

    def begin(self) -> None:
        """Take over what an earlier fleet left running."""
        moment = self.clock()
        self.instances = memory.recall(self.folder / "instances.json", moment.now)
        found = memory.take_over(self.instances, self.servers.mark)
        self._strangers = memory.Strangers(found, moment.now + KILL_S)
        self._strangers.dismiss()

    def step(self) -> None:
        """Look once, act once, report."""
        moment = self.clock()
        self._read()
        self._reap(moment)
        for action in plan(self._workloads(), self._followed()):
            if isinstance(action, Start):
                self._add(action.workload, action.index, moment)
            else:
                self._stop(action, moment)
        self._act(moment)
        self._strangers.look(moment.now)
        self._report(moment)
        self._rotate(moment)

    def stop_all(self) -> None:
        """Begin to stop every server; `step_down` finishes it."""
        moment = self.clock()
        for item in self.instances:
            if item.state is not State.DRAINING:
                lifecycle.drain(item, moment)
        self._report(moment)

    def step_down(self) -> bool:
        """One step of stopping; True when no server is left."""
        moment = self.clock()
        self._reap(moment)
        self._act(moment)
        self._strangers.look(moment.now)
        self._report(moment)
        return not self.instances and not self._strangers.processes

    def answered(self, instance: Instance, ready: bool | None, message: str) -> None:
        """A probe's result."""
        before = instance.state
        lifecycle.probed(instance, ready, message, self.clock())
        if instance.state is not before:
            log.info("%s: %s %s", instance.name, instance.state, message)

    def _read(self) -> None:
        for endpoint, data in self._watch.changes():
            self.errors.pop(endpoint, None)
            if data is None:
                self.desired.pop(endpoint, None)
                continue
            try:
                self.desired[endpoint] = parse_desired(data, endpoint)
            except BadFile as error:
                self.errors[endpoint] = str(error)
                log.error("fleet/desired/%s.json: %s; what it said before stays", endpoint, error)

    def _workloads(self) -> dict[tuple[str, str], Workload]:
        return {work.key: work for desired in self.desired.values() for work in desired.workloads}

    def _followed(self) -> list[Instance]:
        """The instances to plan for: not those of an endpoint of which only an unreadable file is known."""
        unknown = self.errors.keys() - self.desired.keys()
        return [item for item in self.instances if item.endpoint not in unknown]

    def _reap(self, moment: Clock) -> None:
        for item in self.instances:
            if item.process is None:
                continue
            exit = self.servers.processes.ended(item.process)
            if exit is not None:
                self._ended(item, exit, moment)
        finished = list(lifecycle.gone(self.instances))
        self.instances = [item for item in self.instances if item not in finished]

    def _ended(self, item: Instance, exit: Exit, moment: Clock) -> None:
        line = logs.last_line(self.servers.err(item.name), item.errors_from)
        lifecycle.ended(item, exit, line, self._file_revision(item), moment)
        log.info("%s: %s (%s)", item.name, exit, item.message)

    def _add(self, workload: Workload, index: int, moment: Clock) -> None:
        self.instances.append(
            Instance(
                workload.endpoint, workload.model, workload.version, workload.digest, workload.revision,
                index, since=moment.wall, retry_at=moment.now,
            )
        )  # fmt: skip

    def _stop(self, action: Stop, moment: Clock) -> None:
        log.info("%s: stopping", action.instance.name)
        lifecycle.drain(action.instance, moment)

    def _act(self, moment: Clock) -> None:
        for item in self.instances:
            match lifecycle.due(item, self._file_revision(item), moment):
                case Due.LAUNCH:
                    self._launch(item, moment)
                case Due.TERMINATE if item.process is not None:
                    self.servers.processes.signal(item.process, signal.SIGTERM)
                    lifecycle.terminated(item, KILL_S, moment)
                case Due.KILL if item.process is not None:
                    log.warning("%s: killed: %s", item.name, item.message)
                    self.servers.processes.signal(item.process, signal.SIGKILL)

    def _launch(self, item: Instance, moment: Clock) -> None:
        workload = self._workloads().get(item.key)
        if workload is None or workload.revision != item.revision:
            return  # it is about to be stopped
        try:
            port = free_port({other.port for other in self.instances})
            process, begin = self.servers.launch(workload, item.name, port)
        except OSError as error:
            lifecycle.ended(item, Exit(None), str(error), self._file_revision(item), moment)
            return
        lifecycle.launched(item, process, port, begin, moment)
        log.info("%s: started pid %d on port %d", item.name, process.pid, port)

    def _file_revision(self, item: Instance) -> str:
        desired = self.desired.get(item.endpoint)
        return desired.revision if desired else ""

    def _report(self, moment: Clock) -> None:
        """Write the files for others. A full disk must not keep the servers from being looked after."""
        try:
            self._write(moment)
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("cannot write below %s: %s; trying again", self.folder, error)

    def _write(self, moment: Clock) -> None:
        """Write what changed; `status.json` also as a sign of life."""
        document = documents.status(self.instances, self.errors, 0.0)
        changed = document != self._reported
        if changed:
            memory.remember(self.folder / "instances.json", self.instances)
            write_json(self.folder / "targets.json", documents.targets(self.instances, self.gateway))
        if changed or moment.now - self._reported_at >= REPORT_EVERY_S:
            write_json(self.folder / "status.json", {**document, "at": moment.wall})
            self._reported, self._reported_at = document, moment.now

    def _rotate(self, moment: Clock) -> None:
        if moment.now - self._rotated_at >= ROTATE_EVERY_S:
            self._rotated_at = moment.now
            for item in self.instances:
                self.servers.rotate(item.name)
