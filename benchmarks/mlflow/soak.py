"""`python benchmarks/mlflow/soak.py [SECONDS]`: 50 clients log metrics and register versions at once.

No request may fail, no version number may be given twice or left out, and the server's memory must stay flat.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import requests

from benchmarks.mlflow import servers
from tests.servers.postgres import Postgres

CLIENTS = 50
SECONDS = 300.0
# Between the first third and the end.
GROWTH = 1.15


def work(
    server: servers.Server, deadline: float, numbers: list[int], errors: list[str], done: Counter[str]
) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {server.token}"

    def post(path: str, **body: object) -> dict[str, dict[str, str]]:
        answer = session.post(f"{server.url}/api/2.0/mlflow/{path}", json=body, timeout=120)
        if answer.status_code != 200:
            errors.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            return {}
        done[path] += 1
        found: dict[str, dict[str, str]] = answer.json()
        return found

    run = post("runs/create", experiment_id="0").get("run", {}).get("info", {})
    step = 0
    while time.monotonic() < deadline:
        for _ in range(5):
            step += 1
            post(
                "runs/log-metric", run_id=run["run_id"], key="loss", value=1 / step, timestamp=step, step=step
            )  # type: ignore[index]
        made = post("model-versions/create", name="large", source=f"s3://bucket/{step}")
        if made:
            numbers.append(int(made["model_version"]["version"]))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    folder = servers.temporary_folder()
    numbers: list[int] = []
    errors: list[str] = []
    done: Counter[str] = Counter()
    with Postgres() as postgres:
        server = servers.slipway_server(postgres, folder, (1, 1, 1))
        try:
            deadline = time.monotonic() + seconds
            arguments = (server, deadline, numbers, errors, done)
            threads = [threading.Thread(target=work, args=arguments) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(seconds / 3)
            early = server.memory()
            for thread in threads:
                thread.join()
            late = server.memory()
        finally:
            server.stop()
            servers.remove(folder)
    gapless = sorted(numbers) == list(range(2, len(numbers) + 2))
    print(f"{CLIENTS} clients, {seconds:g} s: {dict(done)}, errors: {len(errors)} {errors[:3]}")
    print(f"numbers without gap or repeat: {gapless}; memory {early >> 20} -> {late >> 20} MiB")
    return 0 if gapless and not errors and late <= early * GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
