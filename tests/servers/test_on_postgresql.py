"""The tests in which rows are locked or raced for once more, on the database of production."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.servers.postgres import Postgres
from tests.servers.waiting import ROOT

SECONDS = 600
FILES = {
    "registry": (
        "registry/tests/test_audit.py",
        "registry/tests/test_services.py",
        "registry/tests/test_numbers.py",
        "registry/tests/test_changes.py",
        "registry/tests/test_uploads.py",
        "registry/tests/test_retention.py",
    ),
    # Documents are written by PostgreSQL itself, and statements are prepared there.
    "documents": (
        "registry/tests/test_api.py",
        "registry/tests/test_preconditions.py",
        "registry/tests/test_search.py",
        "registry/tests/test_search_plans.py",
    ),
    "rollouts": ("rollouts/tests/test_services.py", "rollouts/tests/test_reconcile.py"),
    "requests": ("tests/concurrency",),
    "notices": (
        "monitoring/tests/test_notices.py",
        "rollouts/tests/test_outbox.py",
        "rollouts/tests/test_hooks.py",
    ),
    "monitoring": (
        "monitoring/tests/alerts/test_evaluate.py",
        "monitoring/tests/samples",
        "monitoring/tests/scoring/test_jobs.py",
        "monitoring/tests/adapters/test_scraper.py",
        "monitoring/tests/adapters/test_scrape_source.py",
        "monitoring/tests/test_drifting.py",
        "rollouts/tests/test_drift.py",
        "rollouts/tests/test_retraining.py",
        "rollouts/tests/test_comparison.py",
    ),
    "mlflow": (
        "registry/tests/mlflow/test_client.py",
        "registry/tests/mlflow/test_filters.py",
        "registry/tests/mlflow/test_load.py",
    ),
}


@pytest.mark.parametrize("part", FILES)
def test_the_database_tests_pass_on_postgresql_too(postgres: Postgres, part: str) -> None:
    # A connection for each of 50 threads: how long one waits for its turn depends on the machine.
    environment = {**os.environ, "SLIPWAY_DATABASE_URL": postgres.create(part), "SLIPWAY_DATABASE_POOL": "60"}
    arguments = ["-q", "-m", "not stack", "-p", "tests.servers.only_database", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *FILES[part]],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    summary = done.stdout[-6000:]
    print(done.stdout.strip().rpartition("\n")[2])
    assert done.returncode == 0, f"{summary}\n{done.stderr[-2000:]}"
    assert " passed" in summary
