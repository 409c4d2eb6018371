"""A real Prometheus on a free port that scrapes what it is told to."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import requests

from tests.servers import process
from tests.servers.waiting import free_port

PACKAGE = "prometheus"


@dataclass
class Prometheus:
    """Start, stall, kill, and start again with its data.

    `targets` is a list of file_sd groups, `rules` the text of a rules file; `interval` is in seconds.
    """

    targets: Sequence[Mapping[str, object]] = ()
    interval: float = 1.0
    rules: str = ""
    folder: Path = field(default_factory=lambda: process.folder("prometheus"))
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        try:
            self.binary = process.program("prometheus", PACKAGE)
            self._write()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """The value of SLIPWAY_PROMETHEUS_URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers queries."""
        command = [
            self.binary, f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle", "--log.level=warn",
        ]  # fmt: skip
        self._process = process.started(command, self._log)
        process.until(self._ready, self._process, self._log)

    def until_scraping(self) -> None:
        """Waits until every target answered a scrape; Prometheus takes its time to begin."""
        wanted = sum(len(group["targets"]) for group in self.targets)  # type: ignore[arg-type]
        process.until(lambda: self.value("count(up == 1)") == wanted, self._process, self._log)

    def kill(self) -> None:
        """Gone at once."""
        process.ended(self._process, signal.SIGKILL)

    def stall(self) -> None:
        """Accepts connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `stall`."""
        self._process.send_signal(signal.SIGCONT)

    def value(self, query: str) -> float | None:
        """The first value of an instant query."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=5)
        rows = answer.json()["data"]["result"]
        return float(rows[0]["value"][1]) if rows else None

    def _write(self) -> None:
        (self.folder / "targets.json").write_text(json.dumps(list(self.targets)))
        (self.folder / "rules.yml").write_text(self.rules or "groups: []\n")
        every = f"{round(self.interval * 1000)}ms"
        (self.folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}\n"
            "rule_files: [rules.yml]\n"
            "scrape_configs:\n"
            "  - job_name: servers\n"
            "    honor_labels: true\n"
            f"    file_sd_configs: [{{files: [{self.folder / 'targets.json'}], refresh_interval: 1s}}]\n"
        )

    @property
    def _log(self) -> Path:
        return self.folder / "prometheus.log"

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).ok
        except requests.RequestException:
            return False
