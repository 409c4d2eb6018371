"""A script for a child process: MLflow's client where only what `mlflow-skinny` requires can be imported.

`mlflow` is installed from the distribution `mlflow-skinny` in any case; what `mlflow` adds to it are packages.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import sys
from typing import Any


def required(root: str) -> set[str]:
    """The distribution and all that it requires, without extras."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]
    return found


def others(allowed: set[str]) -> set[str]:
    """Every installed module that belongs to none of the allowed distributions."""
    owners = metadata.packages_distributions().items()
    names = {module: {re.sub(r"[-_.]+", "-", one).lower() for one in found} for module, found in owners}
    return {module for module, found in names.items() if not found & allowed}


class Without:
    """A finder that does not find what is hidden."""

    def __init__(self, finder: Any, hidden: set[str]) -> None:
        self.finder, self.hidden = finder, hidden

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self.hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


hidden = others(required("mlflow-skinny"))
sys.meta_path[:] = [Without(finder, hidden) for finder in sys.meta_path]
try:
    import numpy  # noqa: F401
except ModuleNotFoundError:
    print("numpy is away")

import mlflow  # noqa: E402

client = mlflow.MlflowClient()
client.create_registered_model("thin")
made = client.create_model_version("thin", "s3://bucket/1")
client.set_registered_model_alias("thin", "champion", made.version)
client.set_model_version_tag("thin", made.version, "k", "v")
assert [one.version for one in client.search_model_versions("name = 'thin' AND tags.k = 'v'")] == [
    made.version
]
with mlflow.start_run() as run:
    mlflow.log_params({"lr": 0.1})
    mlflow.log_metrics({"auc": 0.9})
print(client.get_model_version_by_alias("thin", "champion").version)
print(client.get_run(run.info.run_id).data.metrics["auc"])
print(client.get_model_version_download_uri("thin", "1"))
