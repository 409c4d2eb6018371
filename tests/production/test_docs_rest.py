"""The requests of docs/registry.md and docs/batch.md, typed as they stand there, against a live server."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from monitoring.management.commands.score import Command
from monitoring.models import ScoringJob
from registry import services, tokens
from registry.domain.actor import SYSTEM
from registry.models import Model, Version
from registry.tests import onnx_files
from registry.tests.people import people
from registry.wiring import artifact_store
from tests.production.shell import blocks, run
from tests.servers.waiting import ROOT, eventually, free_port

__all__ = ["people"]


@pytest.fixture
def shell(live_server: Any, people: Any, tmp_path: Path, settings: Any) -> Any:
    """Runs a script as somebody with an engineer's token, beside a model and its reference set."""
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    settings.SLIPWAY_TABLES = [str(tmp_path / "tables")]
    (tmp_path / "model.onnx").write_bytes(onnx_files.linear().SerializeToString())
    (tmp_path / "reference.npz").write_bytes(
        onnx_files.reference(X=np.random.default_rng(1).random((500, 3)))
    )
    token = tokens.create_token(user=people["engineer"], name="docs", actor=SYSTEM)[1]
    environment = {**os.environ, "SLIPWAY_URL": live_server.url, "SLIPWAY_TOKEN": token}
    return lambda script: run(script, environment, tmp_path)


def test_the_requests_of_the_registry_s_page_register_and_download_a_model(
    shell: Any, tmp_path: Path
) -> None:
    uploads, first = blocks("docs/registry.md")
    content = (tmp_path / "model.onnx").read_bytes()
    shell(first)
    assert (tmp_path / "downloaded.onnx").read_bytes() == content
    shell(uploads)
    found = list(Version.objects.order_by("number"))
    assert [version.label for version in found] == ["1.4.0", "1.4.1"]
    assert found[1].digest == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_requests_of_the_page_of_batches_start_cancel_and_resume_a_job(
    shell: Any, tmp_path: Path
) -> None:
    model = Model.objects.create(name="churn", last_number=2)
    version = services.register_version(
        model=model, artifact=tmp_path / "model.onnx", store=artifact_store(), actor=SYSTEM
    )
    assert version.number == 3
    (tmp_path / "tables" / "customers").mkdir(parents=True)
    (tmp_path / "tables" / "customers" / "rows.csv").write_text("X_0,X_1,X_2\n1,2,3\n")
    (script,) = blocks("docs/batch.md")
    said = shell(script)
    assert '"wrong month"' not in said and '"cancelled"' in said
    assert ScoringJob.objects.get().state == "queued"


@pytest.mark.parametrize(
    "line", re.findall(r"^python manage.py score (.*)$", (ROOT / "docs" / "batch.md").read_text(), re.M)
)
def test_the_command_lines_of_the_page_of_batches_are_understood(line: str) -> None:
    Command().create_parser("manage.py", "score").parse_args(shlex.split(line))


def _line(page: str, beginning: str) -> list[str]:
    """The words of a command of the page."""
    (found,) = re.findall(rf"^{re.escape(beginning)}(.*?)(?: {{2,}}.*)?$", (ROOT / page).read_text(), re.M)
    return shlex.split(found)


def test_the_model_server_starts_as_its_page_says(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_files.linear().SerializeToString())
    port = free_port()
    words = [str(port) if word == "9000" else word for word in _line("docs/serving.md", "python -m ")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
    try:
        eventually(lambda: _ready(f"http://127.0.0.1:{port}/v2/health/ready"), 60, log.read_text)
    finally:
        process.terminate()
        process.wait(20)


def _ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
