"""How an instance becomes a process: command line, files and environment of a model server."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.files import write_atomically
from deploy.fleet import logs
from deploy.fleet.documents import HOST
from deploy.fleet.process import Processes, ProcessId
from deploy.fleet.spec import REMOTE, Workload

MARK = "SLIPWAY_FLEET_HOME"
"""Environment variable by which servers are recognised as those of one home's fleet."""
ROOT = Path(__file__).resolve().parents[2]
SERVING = (sys.executable, "-m", "deploy.serving")
DRAIN_S = 10.0
"""What a server gets to finish the requests under way."""
KILL_S = DRAIN_S + 2.0


@dataclass
class Servers:
    """Starts model servers under one home. `program` is the command that the flags are added to."""

    home: Path
    program: Sequence[str] = SERVING
    processes: Processes = field(default_factory=Processes)

    def __post_init__(self) -> None:
        self.mark = str(self.home.resolve())
        self._env = {**os.environ, MARK: self.mark, "PYTHONUNBUFFERED": "1"}

    def launch(self, workload: Workload, name: str, port: int) -> tuple[ProcessId, int]:
        """Start a server; its process and where its lines begin in the stderr file. Raises OSError."""
        out, err = self.out(name), self.err(name)
        out.parent.mkdir(parents=True, exist_ok=True)
        begin = logs.size(err)
        command = [*self.program, *flags(workload, port, self._write_histograms(workload))]
        if workload.artifact.startswith(REMOTE):
            command += ["--cache", str(self.home / "cache")]
        return self.processes.start(command, self._env, ROOT, out, err), begin

    def out(self, name: str) -> Path:
        """Where an instance's stdout goes."""
        return self.home / "logs" / "servers" / f"{name}.log"

    def err(self, name: str) -> Path:
        """Where an instance's stderr goes."""
        return self.home / "logs" / "servers" / f"{name}.err.log"

    def rotate(self, name: str) -> None:
        """Keep the instance's logs to their size."""
        logs.rotate(self.out(name))
        logs.rotate(self.err(name))

    def _write_histograms(self, workload: Workload) -> Path | None:
        if workload.histograms is None:
            return None
        name = f"{workload.endpoint}-{workload.version}.json"
        path = self.home / "fleet" / "histograms" / name
        write_atomically(path, workload.histograms.encode())
        return path


def flags(workload: Workload, port: int, histograms: Path | None) -> list[str]:
    """The command-line flags of `deploy.serving`."""
    values: dict[str, object] = {
        "model": workload.model,
        "model-version": workload.version,
        "endpoint": workload.endpoint,
        "artifact": workload.artifact,
        "digest": workload.digest,
        "host": HOST,
        "port": port,
        "threads": workload.threads,
        "warmup": workload.warmup,
        "drain-seconds": f"{DRAIN_S:g}",
        **{name.replace("_", "-"): _number(value) for name, value in workload.options},
    }
    if histograms is not None:
        values["histograms"] = histograms
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def _number(value: float) -> str:
    """In the shortest form that both `int` and `float` read, where the value has one."""
    return str(int(value)) if value == int(value) else repr(value)
