"""Rows of the rollouts app: intent is written here, and what happened is kept here."""

from rollouts.models.endpoints import Endpoint, Environment, Release, Tenure
from rollouts.models.hooks import HookCall, Webhook
from rollouts.models.retraining import RetrainingRule, RetrainingRun
from rollouts.models.rollouts import PHASES, Look, Rollout, Transition
from rollouts.models.rules import Approval, FreezeWindow
from rollouts.models.templates import (
    GateTemplate,
    GateTemplateVersion,
    PlanTemplate,
    PlanTemplateVersion,
)

__all__ = [
    "PHASES",
    "Approval",
    "Endpoint",
    "Environment",
    "FreezeWindow",
    "GateTemplate",
    "GateTemplateVersion",
    "HookCall",
    "Look",
    "PlanTemplate",
    "PlanTemplateVersion",
    "Release",
    "RetrainingRule",
    "RetrainingRun",
    "Rollout",
    "Tenure",
    "Transition",
    "Webhook",
]
