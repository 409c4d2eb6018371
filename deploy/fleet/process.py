"""Processes of this machine: start, recognise, watch and end them, own children or not."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True)
class ProcessId:
    """A process, for ever: the kernel reuses pids, but not together with the time of creation.

    `created` is in the kernel's own count where there is one: the wall clock may be set.
    """

    pid: int
    created: float


@dataclass(frozen=True)
class Exit:
    """How a process ended: exit status, minus the signal's number, or None when nobody could know."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "ended"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exited with status {self.code}"


@dataclass
class Processes:
    """The processes this one is responsible for."""

    _children: dict[ProcessId, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, out: Path, err: Path
    ) -> ProcessId:
        """Start `command` in a session of its own, so that a terminal's Ctrl-C reaches it only through us."""
        with out.open("ab") as stdout, err.open("ab") as stderr:
            child = subprocess.Popen(
                command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                start_new_session=True,
            )  # fmt: skip
        # A child that ended already is a zombie until `ended` has asked for its exit status.
        identity = identify(child.pid) or ProcessId(child.pid, 0.0)
        self._children[identity] = child
        return identity

    def ended(self, identity: ProcessId) -> Exit | None:
        """How the process ended, or None while it runs. Not only for processes that `start` started."""
        child = self._children.get(identity)
        if child is None:
            return None if runs(identity) else Exit(None)
        code = child.poll()
        if code is None:
            return None
        del self._children[identity]
        return Exit(code)

    def signal(self, identity: ProcessId, number: signal.Signals) -> None:
        """Send a signal, unless the process ended."""
        child = self._children.get(identity)
        if child is not None:
            child.send_signal(number)
        else:
            send(identity, number)


def identify(pid: int) -> ProcessId | None:
    """The identity of the process that has `pid` now; None when there is none, or only its zombie."""
    found = _look_in_proc(pid) if PROC else _ask_psutil(pid)
    return ProcessId(pid, found) if found is not None else None


def runs(identity: ProcessId) -> bool:
    """Whether the process still runs."""
    return identify(identity.pid) == identity


def send(identity: ProcessId, number: signal.Signals) -> None:
    """Send a signal to a process, unless it ended."""
    if runs(identity):
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, number)


def marked(variable: str, value: str) -> set[ProcessId]:
    """All processes of this user whose environment says `variable=value`."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value:
                found.add(identify(process.pid))
        except (psutil.Error, OSError):
            continue
    return {identity for identity in found if identity is not None}


def _look_in_proc(pid: int) -> float | None:
    """Clock ticks from boot to the start of a running process (field 22 of proc_pid_stat(5))."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field, the command in parentheses, may contain anything.
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else float(fields[19])


def _ask_psutil(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
