"""MLflow's own server and Slipway, each with two gunicorn workers, on one PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import requests

from tests.servers.postgres import Postgres
from tests.servers.waiting import ROOT, free_port

GTHREAD = ["--worker-class", "gthread", "--threads", "4", "--keep-alive", "65"]


@dataclass
class Server:
    """A running server: its address, what it asks for, and the CPU that it and the database used."""

    name: str
    database: str
    token: str = ""
    port: int = field(default_factory=free_port)

    def start(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 240
        while True:
            with suppress(requests.RequestException):
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.3)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tree(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def memory(self) -> int:
        """Bytes that the server's processes hold."""
        return sum(process.memory_info().rss for process in self.tree())

    def stop(self) -> None:
        """Ends the server with its workers; one that does not end by itself is killed."""
        if self.process.poll() is not None:
            return
        tree = self.tree()
        self.process.terminate()
        _, left = psutil.wait_procs(tree, timeout=20)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(20)


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of CPU, user and system, that the processes have used."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def of_database(postgres: Postgres) -> list[psutil.Process]:
    """The processes of the database server."""
    parent = psutil.Process(postgres._process.pid)
    return [parent, *parent.children(recursive=True)]


def mlflow_server(postgres: Postgres, folder: Path) -> Server:
    """MLflow's server in the mode that has no stall of 44 ms per request: gunicorn with threads."""
    url = postgres.create("mlflow").replace("postgresql://", "postgresql+psycopg://")
    server = Server("MLflow", "mlflow")
    options = " ".join(GTHREAD)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(server.port),
        "--workers", "2", "--backend-store-uri", url, "--artifacts-destination", str(folder / "artifacts"),
        "--gunicorn-opts", options,
    ]  # fmt: skip
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server.start(command, environment, folder / "mlflow.log")
    return server


def slipway_server(postgres: Postgres, folder: Path, sizes: tuple[int, int, int]) -> Server:
    """Slipway's web server with a database of its own, filled, and an administrator's token."""
    server = Server("Slipway", "slipway")
    environment = {
        "SLIPWAY_DATABASE_URL": postgres.create("slipway"),
        "SLIPWAY_HOME": str(folder / "home"),
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    }
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.mlflow.prepare", *map(str, sizes)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(made.stderr[-3000:])
    server.token = made.stdout.strip().splitlines()[-1]
    command = [
        sys.executable, "-m", "gunicorn", "controlplane.wsgi:application", "--workers", "2",
        "--bind", f"127.0.0.1:{server.port}", *GTHREAD,
    ]  # fmt: skip
    server.start(command, environment, folder / "slipway.log")
    return server


def fill(postgres: Postgres, database: str, statements: list[str]) -> None:
    """Content by SQL; then fresh statistics of all databases, as autovacuum keeps them."""
    with psycopg.connect(postgres.url(database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


def temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="slipway-mlflow-bench-"))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
