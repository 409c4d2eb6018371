"""`python -m deploy.fleet.services --file services.json`: keeps the services of one machine running.

Why not one of the known supervisors: docs/decisions/0002-own-supervisor.md.
"""

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from deploy.files import BadFile, write_json
from deploy.fleet import logs
from deploy.fleet.kinship import become_subreaper
from deploy.fleet.service import Service
from deploy.fleet.services_file import ServicesFile, parse_services

STEP_S = 0.05
ROTATE_EVERY_S = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """One line for the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


@dataclass
class Supervisor:
    """Runs the services of `file` until it is told to stop, and leaves no process behind."""

    file: ServicesFile
    signals: int = 0

    def __post_init__(self) -> None:
        self.services = [Service(spec, self.file.logs / f"{spec.name}.log") for spec in self.file.services]
        self.announced = False
        self._rotated_at = time.monotonic()

    def run(self) -> None:
        """Start everything; return when everything has stopped."""
        for number in SIGNALS:
            signal.signal(number, self._count_signal)
        become_subreaper()
        try:
            for service in self.services:
                self._start(service)
            self._record()
            while not self.signals:
                self.step()
                time.sleep(STEP_S)
        finally:
            self.stop()

    def _count_signal(self, number: int, frame: object) -> None:
        self.signals += 1

    def step(self) -> None:
        """Notice what died, start what is due, notice what is ready."""
        now = time.monotonic()
        self._reap_orphans()
        for service in self.services:
            if service.look(now):
                wait = service.retry_at - now
                say(f"{service.spec.name} died ({service.death}), starting it again {_after(wait)}")
                self._record()
            if service.process is None and now >= service.retry_at:
                self._start(service)
                self._record()
            if service.became_ready(now):
                self._tell_ready(service, now)
                self._record()
        if now - self._rotated_at >= ROTATE_EVERY_S:
            self._rotated_at = now
            for service in self.services:
                logs.rotate(service.log)

    def _start(self, service: Service) -> None:
        try:
            service.start()
        except (OSError, subprocess.SubprocessError) as error:
            say(f"{service.spec.name} cannot be started: {error}")
            service.retry_at = time.monotonic() + 5.0

    def _tell_ready(self, service: Service, now: float) -> None:
        place = f" on port {service.spec.port}" if service.spec.port else ""
        if service.restarts:
            say(f"{service.spec.name} is back{place} after {now - service.died_at:.1f} s")
        else:
            say(f"  {service.spec.name:<10} ready{place}")
        if not self.announced and all(one.ready for one in self.services):
            self.announced = True
            for line in self.file.banner:
                say(line)

    def _reap_orphans(self) -> None:
        """Collect the exit status of orphans that became ours; services are left to their own `look`."""
        own = {service.process.pid for service in self.services if service.process}
        with contextlib.suppress(ChildProcessError):
            while True:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in own:
                    return
                os.waitpid(found.si_pid, 0)

    def _record(self) -> None:
        services = {
            one.spec.name: {
                "pid": one.process.pid if one.process else None,
                "port": one.spec.port,
                "started": one.started,
                "ready": one.ready,
                "restarts": one.restarts,
            }
            for one in self.services
        }
        document = {**self.file.info, "pid": os.getpid(), "ready": self.announced, "services": services}
        with contextlib.suppress(OSError):  # a full disk must not end the services
            write_json(self.file.run, document)

    def stop(self) -> None:
        """Stop the services, last one first; a second signal kills them. Then end all that is left."""
        say("stopping")
        already = self.signals
        for service in reversed(self.services):
            service.terminate()
            deadline = time.monotonic() + service.spec.stop_seconds
            while service.process is not None and service.process.poll() is None:
                if time.monotonic() >= deadline or self.signals > already + 1:
                    service.kill_group()
                    service.process.wait()
                time.sleep(0.02)
            service.kill_group()
            service.process, service.ready = None, False
        end_descendants()
        self.announced = False
        self._record()


def end_descendants() -> None:
    """Kill every descendant of this process; as a subreaper it is the ancestor of all orphans too."""
    me = psutil.Process()
    while found := me.children(recursive=True):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=1.0)


def _after(seconds: float) -> str:
    return f"in {seconds:.1f} s" if seconds > 0.01 else "at once"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.fleet.services", description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="the services.json to run")
    parser.add_argument("--lock-fd", type=int, help="descriptor that holds the lock already")
    return parser.parse_args(argv)


def hold(path: Path, inherited: int | None) -> IO[str] | None:
    """The lock that makes this supervisor the only one; None when another one has it. Raises OSError."""
    if inherited is not None:
        os.set_inheritable(inherited, False)
        return os.fdopen(inherited, "w")
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def main() -> int:
    """Exit status 0 after a signal; 1 for an unusable file or when another supervisor has its lock."""
    options = arguments()
    try:
        file = parse_services(options.file.read_bytes())
        lock = hold(file.lock, options.lock_fd)
    except (OSError, BadFile) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    if lock is None:
        print(f"the services of {options.file} are already running", file=sys.stderr)
        return 1
    with lock:
        Supervisor(file).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
