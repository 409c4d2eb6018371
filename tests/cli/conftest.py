"""A live server, people with tokens, a world that moves on whenever the command waits."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.cli import session
from deploy.cli.app import main
from deploy.cli.client import Client
from monitoring.domain.judge import Verdict
from registry import tokens
from registry.domain.actor import SYSTEM
from registry.tests import onnx_files
from rollouts import reconcile
from rollouts.conftest import author, endpoint, people, ports, versions
from rollouts.models import Rollout
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

__all__ = ["author", "endpoint", "people", "ports", "versions"]
ENDPOINT = "churn-production"


@dataclass
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class World:
    """Time passes for the rollout only while the command rests; `meanwhile` is what others do then."""

    driver: Driver
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    seconds: float = 2.0

    def rest(self, seconds: float) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.driver.tick(2, seconds=self.seconds)


@dataclass
class Cli:
    """`cli("whoami", who="viewer")` runs one command line in this process."""

    url: str
    secrets: dict[str, str]
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, who: str = "engineer", **environ: str) -> Done:
        with self.monkeypatch.context() as patch:
            for name, value in {
                "SLIPWAY_URL": self.url,
                "SLIPWAY_TOKEN": self.secrets[who],
                **environ,
            }.items():
                patch.setenv(name, value) if value else patch.delenv(name, raising=False)
            self.capsys.readouterr()
            status = main(arguments)
        done = Done(int(status), *self.capsys.readouterr())
        for secret in self.secrets.values():
            assert secret not in done.out + done.err, "a token was shown"
        return done


@pytest.fixture
def cli(live_server, people, tmp_path, settings, monkeypatch, capsys) -> Cli:
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("SLIPWAY_URL", "SLIPWAY_TOKEN", "SLIPWAY_PROFILE", "SLIPWAY_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    secrets = {
        name: tokens.create_token(user=user, name="test", actor=SYSTEM)[1] for name, user in people.items()
    }
    return Cli(live_server.url, secrets, monkeypatch, capsys)


@pytest.fixture
def world(endpoint, ports, monkeypatch) -> World:
    """`churn-production` serves v1; the gates hold unless `driver.verdict` says otherwise."""
    driver = Driver(endpoint, ports, verdict=Verdict.PASS)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    made = World(driver)
    monkeypatch.setattr(session, "Client", functools.partial(Client, rest=made.rest))
    return made


@pytest.fixture
def plan_file(tmp_path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"strategy": "canary", "parameters": FAST}))
    return str(path)


@pytest.fixture
def onnx_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_files.linear().SerializeToString())
    return path


def newest() -> Rollout:
    return Rollout.objects.latest("id")
