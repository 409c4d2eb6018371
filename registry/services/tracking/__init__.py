"""What training logs: experiments, runs, metrics, data sets, and the models that runs log.

Experiments and runs are audited when they begin, end or are deleted. Parameters, tags and points of runs are
not: they are thousands, they come from the run's own process, and the run's entry says whose it is.
"""

from __future__ import annotations

from registry.services.tracking.experiments import (
    create_experiment,
    default_experiment,
    delete_experiment,
    rename_experiment,
    tag_experiment,
)
from registry.services.tracking.logged import (
    create_logged_model,
    delete_logged_model,
    finish_logged_model,
    log_model_params,
    tag_logged_model,
)
from registry.services.tracking.points import Reading, log_points
from registry.services.tracking.runs import (
    create_run,
    delete_run,
    log_datasets,
    log_models,
    log_params,
    tag_run,
    update_run,
)

__all__ = [
    "Reading",
    "create_experiment",
    "create_logged_model",
    "create_run",
    "default_experiment",
    "delete_experiment",
    "delete_logged_model",
    "delete_run",
    "finish_logged_model",
    "log_datasets",
    "log_model_params",
    "log_models",
    "log_params",
    "log_points",
    "rename_experiment",
    "tag_experiment",
    "tag_logged_model",
    "tag_run",
    "update_run",
]
