"""`python -m benchmarks.rollouts.latency ROUNDS`: how long a bad candidate keeps its traffic.

A real tick, fleet and gateway, each a process; servers that answer at once; metrics that turn bad at a
moment of our choosing. Measured from the moment of the look that failed (its own time is part of it) to the
moment at which the gateway, asked all the while, applies a route without the candidate.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import django
import requests

ROOT = Path(__file__).resolve().parents[2]
ENDPOINTS = 5
TARGET_MS = 500.0
ASK_SECONDS = 0.005
DEADLINE = 60.0
GATES = [{"kind": "error_rate", "name": "errors", "max": 0.02, "min_samples": 20}]
PLAN: dict[str, Any] = {
    "steps": [
        {"kind": "provision", "replicas": 1},
        {"kind": "set_weight", "percent": 50},
        {"kind": "analyse", "seconds": 3600},
        {"kind": "promote"},
    ],
    "gates": GATES,
    "interval": 1,
}


def main(rounds: int) -> int:
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    home, gateway = Path(settings.SLIPWAY_HOME), settings.SLIPWAY_GATEWAY_URL
    port = gateway.rpartition(":")[2]
    server = f"{sys.executable} {ROOT / 'deploy/fleet/tests/fake_server.py'}"
    module = [sys.executable, "-m"]
    commands = (
        [*module, "deploy.fleet", "--home", str(home), "--gateway", f"127.0.0.1:{port}", "--server", server],
        [*module, "deploy.gateway", "--home", str(home), "--port", port],
        [sys.executable, "manage.py", "tick"],
    )
    endpoints = _endpoints(home)
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        found = [latency for _ in range(rounds) for latency in _round(home, gateway, endpoints)]
    return _show(found)


def _endpoints(home: Path) -> list[Any]:
    """Endpoints of two versions each, whose artifacts are the behaviour of the servers."""
    from benchmarks.rollouts.population import ADA
    from registry.models import Model, Version
    from rollouts import services

    (home / "models").mkdir()
    digests = [_artifact(home, text) for text in ("{}", "{ }")]
    production = services.create_environment(name="production", actor=ADA)
    found = []
    for number in range(ENDPOINTS):
        model = Model.objects.create(name=f"model-{number}", last_number=2)
        versions = [
            Version.objects.create(model=model, number=n, digest=digest, size=2, format="onnx")
            for n, digest in enumerate(digests, start=1)
        ]
        name = f"e-{number}"
        endpoint = services.create_endpoint(name=name, environment=production, version=versions[0], actor=ADA)
        found.append((endpoint, versions[1]))
    return found


def _artifact(home: Path, text: str) -> str:
    digest = sha256(text.encode()).hexdigest()
    (home / "models" / digest).write_text(text)
    return f"sha256:{digest}"


def _round(home: Path, gateway: str, endpoints: list[Any]) -> list[float]:
    """Seconds from the failed look to the route without the candidate, of each endpoint."""
    from benchmarks.rollouts.population import ADA
    from rollouts import services
    from rollouts.models import Look, Rollout

    failing = home / "failing"
    failing.unlink(missing_ok=True)
    _until(lambda: all(_share(gateway, e.name, "1") == 100 for e, _ in endpoints))
    started = [
        services.start_rollout(
            endpoint=endpoint, version=version, strategy="custom", parameters=PLAN, actor=ADA, reason="bench"
        )
        for endpoint, version in endpoints
    ]
    ids = [rollout.pk for rollout in started]
    _until(lambda: Rollout.objects.filter(pk__in=ids, looks__gte=1).count() == len(ids))
    failing.touch()
    gone = _gone(gateway, [endpoint.name for endpoint, _ in endpoints])
    _until(lambda: Rollout.objects.filter(pk__in=ids, phase="rolled_back").count() == len(ids))
    looks = dict(
        Look.objects.filter(rollout__in=ids, verdict="fail").values_list("rollout__endpoint__name", "at")
    )
    return [(gone[name] - at.timestamp()) for name, at in looks.items()]


def _gone(gateway: str, names: list[str]) -> dict[str, float]:
    """When the gateway was first seen without the candidate, by endpoint."""
    found: dict[str, float] = {}
    deadline = time.monotonic() + DEADLINE
    while len(found) < len(names) and time.monotonic() < deadline:
        routes = _routes(gateway)
        now = time.time()
        for name in names:
            if name not in found and _weight(routes, name, "2") == 0:
                found[name] = now
        time.sleep(ASK_SECONDS)
    assert len(found) == len(names), "a candidate kept its traffic"
    return found


def _routes(gateway: str) -> Any:
    try:
        return json.loads(requests.get(f"{gateway}/-/routes", timeout=2).content)["endpoints"]
    except requests.RequestException:
        return {}


def _share(gateway: str, name: str, version: str) -> int:
    return _weight(_routes(gateway), name, version)


def _weight(routes: Any, name: str, version: str) -> int:
    shares = (routes.get(name) or {}).get("split") or []
    return sum(share["weight"] for share in shares if share["version"] == version)


def _until(true: Any) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.05)


def _show(found: list[float]) -> int:
    sorted_ms = sorted(1000 * value for value in found)
    at = [sorted_ms[min(len(found) - 1, int(share * len(found)))] for share in (0.5, 0.9, 0.99, 1)]
    print("| decisions | p50 ms | p90 ms | p99 ms | most ms |")
    print("|---|---|---|---|---|")
    print(f"| {len(found)} | " + " | ".join(f"{value:.0f}" for value in at) + " |")
    print(f"p99 under {TARGET_MS:g} ms: {'met' if at[2] < TARGET_MS else 'missed'}")
    return 0


if __name__ == "__main__":
    django.setup()
    sys.exit(main(int(sys.argv[1])))
