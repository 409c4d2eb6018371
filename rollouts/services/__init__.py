"""What people and pipelines can do to rollouts: one verb, one function.

Services write intent; ticks do the rest.
"""

from __future__ import annotations

from rollouts.environments import create_environment, set_policy, set_target
from rollouts.services.endpoints import create_endpoint
from rollouts.services.starting import preview, retry, rollback_endpoint, start_rollout, warnings
from rollouts.services.steering import abort, break_glass, pause, promote, resume

__all__ = [
    "abort",
    "break_glass",
    "create_endpoint",
    "create_environment",
    "pause",
    "preview",
    "promote",
    "resume",
    "retry",
    "rollback_endpoint",
    "set_policy",
    "set_target",
    "start_rollout",
    "warnings",
]
