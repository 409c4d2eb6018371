"""MLflow's own client tests against Slipway, from a checkout of MLflow's repository: see docs/mlflow.md.

`SLIPWAY_MLFLOW_SOURCE=/path/to/mlflow pytest registry/tests/mlflow/test_upstream.py`
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = os.environ.get("SLIPWAY_MLFLOW_SOURCE", "")
ROOT = Path(__file__).resolve().parents[3]
# What Slipway does not keep: docs/mlflow.md says so.
ELSEWHERE = [
    "trace",
    "gateway",
    "graphql",
    "secret",
    "endpoint",
    "issue",
    "scor",
    "association",
    "evaluation",
    "assessment",
    "promptlab",
    "provider",
    "definition",
    "list_models",
    "correlation",
    "experiments_rest_tracking",
    "experiments_at_once",
]
_LOCAL = "the test expects artifacts on the disk of client and server (file://)"
_PAGES = "a call of MLflow's own pages, which no client makes"
# Those of test_rest_tracking.py that fail, each with its reason; docs/mlflow.md repeats them.
DIFFERENT = {
    "test_create_get_search_experiment": "a relative artifact_location is kept as it was sent",
    "test_path_validation": "the message of the refusal also says which path",
    "test_artifacts": _LOCAL,
    "test_create_model_version_with_path_source": _LOCAL,
    "test_create_model_version_with_file_uri": _LOCAL,
    "test_create_model_version_with_non_local_source": (
        "mlflow-artifacts: sources outside the run's own folder are refused, as MLflow does since 3.17"
    ),
    "test_create_model_version_with_validation_regex": "there is no such setting; sources have fixed rules",
    "test_get_metric_history_bulk_rejects_invalid_requests": (
        "a query of more than 1,000 parameters is refused before it is read"
    ),
    "test_get_metric_history_bulk_interval_rejects_invalid_requests": _PAGES,
    "test_get_metric_history_bulk_interval_respects_max_results": _PAGES,
    "test_upload_artifact_handler_rejects_invalid_requests": _PAGES,
    "test_upload_artifact_handler": _PAGES,
    "test_get_logged_model_artifact": _PAGES,
    "test_search_dataset_handler_rejects_invalid_requests": _PAGES,
    "test_search_dataset_handler_returns_expected_results": _PAGES,
}
FILES = {
    "tests/tracking/test_model_registry.py": {},
    "tests/tracking/test_rest_tracking.py": DIFFERENT,
}


@pytest.mark.skipif(not SOURCE, reason="set SLIPWAY_MLFLOW_SOURCE to a checkout of MLflow's repository")
@pytest.mark.parametrize("file", FILES)
def test_mlflows_own_tests_pass_but_for_those_that_are_listed(file):
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
    # Their conftest.py need packages of MLflow's developers.
    options = ["-q", "-p", "no:xdist", "--noconftest", "-p", "registry.tests.mlflow.upstream", "-W", "ignore"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-c", os.devnull, "--rootdir", ".", "--tb=line", "-rfE",
         "-k", " and ".join(f"not {word}" for word in ELSEWHERE), file],
        cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    print(done.stdout.strip().rpartition("\n")[2])
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE))
    assert " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert failed == set(FILES[file]), done.stdout[-6000:]


def test_the_documents_name_every_difference():
    said = (ROOT / "docs" / "mlflow.md").read_text()
    assert [name for name in DIFFERENT if f"`{name}`" not in said] == []
