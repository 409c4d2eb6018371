"""Every `slipway …` of docs/cli.md, in the page's order, against one live server.

What a line needs is there before it (`BEFORE`); the page's names of servers, tables and numbers stand for those that are
here. Rollouts walk and workers score whenever the command waits.
"""

from __future__ import annotations

import functools
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.cli import session
from deploy.cli.client import Client
from monitoring.domain.judge import Verdict
from monitoring.models import ScoringJob
from registry import services as registry
from registry import tasks
from registry.models import Model, Version
from registry.tests import onnx_files
from registry.wiring import artifact_store
from rollouts import environments, plan_templates, reconcile, scorer
from rollouts.models import Rollout, Tenure
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver
from tests.cli.conftest import ENDPOINT, Cli, newest
from tests.production.shell import blocks

pytestmark = pytest.mark.django_db(transaction=True)
# Installing needs the network, and minutes: tests of deploy/bootstrap.py, and every checkout, do it.
NOT_RUN = ("make install", "pip install")
# Who says so, if not the admin: nobody votes on what he started himself.
WHO = {"slipway rollout approve": "release_manager", "slipway rollout refuse": "release_manager"}
ASKED = {"approvals": [{"before": "start", "count": 1, "group": "release_manager", "seconds": 600}]}


@pytest.fixture
def versions(cli: Cli, author: Any, tmp_path: Path) -> list[Any]:
    """Versions 1 to 3 of the model `churn`, which can be pulled, scored with, and given a baseline."""
    model = Model.objects.create(name="churn")
    Model.objects.create(name="segmenter")
    made = []
    for weight in (1.0, 2.0, 3.0):
        path = tmp_path / f"{weight}.onnx"
        path.write_bytes(onnx_files.linear(weight=weight).SerializeToString())
        made.append(
            registry.register_version(model=model, artifact=path, store=artifact_store(), actor=author)
        )
    return made


@pytest.fixture
def here(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page names."""
    rows = np.random.default_rng(1).random((60, 3)).astype(np.float32)
    (tmp_path / "model.onnx").write_bytes(onnx_files.linear(weight=4.0).SerializeToString())
    (tmp_path / "reference.npz").write_bytes(onnx_files.reference(X=rows))
    table = pa.table({f"X_{column}": rows[:, column] for column in range(3)})
    pq.write_table(table, tmp_path / "reference.parquet")  # type: ignore[no-untyped-call]
    (tmp_path / "version.yaml").write_text("framework: xgboost\n")
    (tmp_path / "canary.yaml").write_text(blocks("docs/cli.md", kind="yaml")[0])
    (tmp_path / "export").mkdir()
    onnx.save(onnx_files.linear(weight=5.0), tmp_path / "export" / "model.onnx")
    (tmp_path / "tables" / "customers").mkdir(parents=True)
    (tmp_path / "tables" / "customers" / "rows.csv").write_text("X_0,X_1,X_2\n" + "1,2,3\n" * 30)
    settings.SLIPWAY_TABLES = [str(tmp_path / "tables")]
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def driver(endpoint: Any, ports: Any, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """`churn-production` serves v1; while a command waits, three minutes pass and background work is done."""
    driver = Driver(endpoint, ports, verdict=Verdict.PASS)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)

    def rest(seconds: float) -> None:
        tasks.work_one()
        scorer.once()
        driver.tick(3, seconds=60)

    monkeypatch.setattr(session, "Client", functools.partial(Client, rest=rest))
    return driver


class Page:
    """Runs the page's lines, and makes what they need."""

    def __init__(self, cli: Cli, driver: Driver, here: Path, author: Any) -> None:
        self.cli, self.driver, self.here, self.author = cli, driver, here, author
        self.before: dict[str, Callable[[], object]] = {
            "slipway show churn champion": lambda: self.run("alias", "set", "churn", "champion", "4"),
            "slipway pull": (here / "model.onnx").unlink,
            "slipway score cancel": lambda: self.run("score", "start", "churn", "4", "customers", "other"),
            "slipway rollout start churn-production 7": self.two_more,
            "slipway rollout start churn-production candidate": self.template,
            "slipway rollout approve": self.asked,
            "slipway rollout refuse": self.asked,
            "slipway rollout pause": self.walking,
            "slipway rollout abort": self.walking,
            "slipway rollout retry": self.over,
            "slipway rollout break-glass": self.asked,
            "slipway create-endpoint": lambda: environments.create_environment(name="eu", actor=author),
            "slipway history": self.long_ago,
            'slipway rollout start churn-production latest -m "nightly"': self.settled,
        }

    def run(self, *arguments: str, who: str = "admin", **environ: str) -> str:
        done = self.cli(*arguments, who=who, **environ)
        assert done.status == 0, f"slipway {shlex.join(arguments)}: {done.status}\n{done.out}{done.err}"
        return done.out + done.err

    def line(self, line: str, **environ: str) -> str:
        """One line as it stands on the page."""
        for begin, make in self.before.items():
            if line.startswith(begin):
                make()
        who = next((who for begin, who in WHO.items() if line.startswith(begin)), "admin")
        return self.run(*shlex.split(self.here_and_now(line), comments=True)[1:], who=who, **environ)

    def here_and_now(self, line: str) -> str:
        """The line with this server, these tables, and the newest rollout and job."""
        line = re.sub(r"https://\w+\.slipway\.example\.org|https://\w+\.example\.org", self.cli.url, line)
        line = line.replace("s3://tables/", f"{self.here}/tables/")
        line = line.replace('"$(git rev-parse HEAD)"', "a" * 40).replace('"$CI_JOB_ID"', "4711")
        if match := re.match(r"(slipway rollout \w[\w-]* )12\b(.*)|(slipway api GET rollouts/)7(/.*)", line):
            begin, end, other, rest = match.groups()
            return f"{begin or other}{newest().pk}{end or rest or ''}"
        return re.sub(
            r"^(slipway score \w+) 17\b", lambda m: f"{m[1]} {ScoringJob.objects.latest('id').pk}", line
        )

    def settled(self) -> None:
        """No rollout is under way, and nobody must be asked."""
        environments.set_policy(
            environment=self.driver.endpoint.environment, policy={}, reason="next", actor=self.author
        )
        if newest().finished_at is None:
            self.run("rollout", "abort", str(newest().pk), "-m", "next")
        self.over()

    def start_another(self) -> None:
        """A rollout of a version that does not serve yet."""
        self.driver.endpoint.refresh_from_db()
        version = "2" if self.driver.endpoint.stable.version.number != 2 else "3"
        self.run("rollout", "start", ENDPOINT, version, "-m", "next")

    def two_more(self) -> None:
        model = Model.objects.get(name="churn")
        for number in (6, 7):
            digest = f"sha256:{number:064x}"
            Version.objects.create(model=model, number=number, digest=digest, size=10, format="onnx")
        Model.objects.filter(pk=model.pk).update(last_number=7)
        self.run("rollout", "start", ENDPOINT, "6", "-m", "to be superseded")

    def template(self) -> None:
        self.settled()
        self.run("alias", "set", "churn", "candidate", "6")
        for hold in (10, 20):
            plan_templates.save_template(
                name="careful", strategy="canary", parameters={**FAST, "hold_seconds": hold},
                actor=self.author, reason="less",
            )  # fmt: skip

    def asked(self) -> None:
        self.settled()
        environments.set_policy(
            environment=self.driver.endpoint.environment, policy=ASKED, reason="audit", actor=self.author
        )
        self.start_another()
        self.driver.until("awaiting_approval")

    def walking(self) -> None:
        self.settled()
        self.start_another()
        self.driver.until("progressing")

    def long_ago(self) -> None:
        first = Tenure.objects.earliest("start")
        Tenure.objects.filter(pk=first.pk).update(start=first.start - timedelta(days=365))

    def over(self) -> None:
        for _ in range(60):
            if not Rollout.objects.filter(finished_at=None).exists():
                return
            self.driver.tick(seconds=5)
        raise AssertionError(newest().phase)


def lines() -> Iterator[str]:
    """Those of the page's `sh` blocks, in order."""
    for block in blocks("docs/cli.md"):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.sub(r'^eval "\$\((.*)\)".*', r"\1", line.strip())


def test_every_command_line_of_the_page_runs(
    cli: Cli, driver: Driver, here: Path, author: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, said = Page(cli, driver, here, author), {}
    for line in lines():
        if re.match(r"slipway (login|whoami|profiles|logout)", line):
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{cli.secrets['admin']}\n"))
            more = " --token-stdin" if "login" in line else ""
            said[line] = page.line(line + more, SLIPWAY_URL="", SLIPWAY_TOKEN="")
        elif line.startswith("slipway "):
            said[line] = page.line(line)
        else:
            assert line.startswith((*NOT_RUN, "case", "esac")) or re.match(r"\d+\)|\*\)", line), line
    assert len(said) > 55
    # What they said is looked at elsewhere; here, that they did it.
    assert "admin" in said["slipway whoami"]
    assert (here / "model.onnx").read_bytes() == onnx_files.linear(weight=4.0).SerializeToString()
    scored = next(text for line, text in said.items() if line.startswith("slipway score start"))
    assert "30 rows" in scored
    weekly = next(text for line, text in said.items() if "weekly retraining" in line)
    assert "serves all traffic" in weekly
    assert "staging" in cli("environments", who="admin").out


@pytest.mark.parametrize(
    ("status", "says"),
    [(0, "serving"), (10, "rolled back: open a ticket for the model's owner"),
     (14, "still going; the rollout finishes by itself"), (13, "")],
)  # fmt: skip
def test_the_pipeline_s_shell_does_what_the_status_says(status: int, says: str) -> None:
    (script,) = [block for block in blocks("docs/cli.md") if "case $?" in block]
    done = subprocess.run(
        ["sh", "-c", f"slipway() {{ return {status}; }}\n{script}"], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.returncode) == (says, 0 if says else 1)
