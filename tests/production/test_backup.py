"""Everything is lost and comes back from the backup; a backup that is not whole is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import Postgres
from tests.servers.waiting import ROOT

FILL = """
from pathlib import Path
from registry import services
from registry.domain.actor import SYSTEM
from registry.models import Model
from registry.tests import onnx_files
from registry.wiring import artifact_store
from tempfile import mkdtemp
model = Model.objects.create(name="churn")
for weight in (1, 2):
    path = Path(mkdtemp()) / "model.onnx"
    path.write_bytes(onnx_files.linear(weight=weight).SerializeToString())
    services.register_version(model=model, artifact=path, store=artifact_store(), actor=SYSTEM)
"""


@dataclass
class Installation:
    """A database, a folder, and the settings that lead to both."""

    postgres: Postgres
    name: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "SLIPWAY_DATABASE_URL": self.postgres.url(self.name),
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_SECRET_KEY": "kept elsewhere",
            "PYTHON": "python",
            "PATH": path,
        }
        return {**os.environ, **own}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180
        )

    def must(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def digests(self) -> list[str]:
        with psycopg.connect(self.postgres.url(self.name)) as connection:
            rows = connection.execute("SELECT digest FROM registry_version ORDER BY number").fetchall()
        return [digest for (digest,) in rows]


@pytest.fixture(scope="module")
def installation(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Two versions, their artifacts, and what the audit trail says of them."""
    postgres.create("backup")
    made = Installation(postgres, "backup", tmp_path_factory.mktemp("installation"))
    made.must("python", "manage.py", "migrate", "-v", "0")
    made.must("python", "manage.py", "shell", "-v", "0", "-c", FILL)
    return made


@pytest.fixture(scope="module")
def backup(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups") / "first"
    said = installation.must("deploy/backup/backup", str(folder))
    assert "backed up to" in said
    return folder


def test_a_backup_is_closed_to_others_and_is_not_written_over(
    installation: Installation, backup: Path
) -> None:
    assert not [path for path in backup.rglob("*") if path.stat().st_mode & 0o077]
    again = installation.run("deploy/backup/backup", str(backup))
    assert again.returncode and "name a new folder" in again.stderr


def test_everything_is_lost_and_comes_back(installation: Installation, backup: Path) -> None:
    before = installation.digests()
    shutil.rmtree(installation.home)
    with psycopg.connect(installation.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute('DROP DATABASE "backup" WITH (FORCE)')
    installation.postgres.create("backup")
    said = installation.must("deploy/backup/restore", str(backup))
    assert "The chain is whole" in said and "All 2 artifacts are whole." in said
    assert installation.digests() == before and len(before) == 2


def test_a_backup_that_lost_an_artifact_or_the_end_of_the_trail_is_told(
    installation: Installation, backup: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backup, damaged)
    artifact = next(path for path in (damaged / "artifacts" / "objects").rglob("*") if path.is_file())
    artifact.write_bytes(b"something else")
    done = installation.run("deploy/backup/restore", str(damaged))
    assert done.returncode and "1 of 2 artifacts are not what they were" in done.stderr
    text = (damaged / "audit.txt").read_text()
    sequence = int(text.rpartition("--anchor: ")[2].partition(":")[0])
    (damaged / "audit.txt").write_text(text.replace(f": {sequence}:", f": {sequence + 1}:"))
    done = installation.run("deploy/backup/restore", str(damaged))
    assert done.returncode and "chain is broken" in done.stderr


def test_a_folder_that_is_no_finished_backup_changes_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    before = installation.digests()
    done = installation.run("deploy/backup/restore", str(tmp_path))
    assert done.returncode and "holds no finished backup" in done.stderr
    assert installation.digests() == before
