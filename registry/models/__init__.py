"""The tables of the system of record."""

from __future__ import annotations

from registry.models.access import OpenIDIdentity, RoleGrant, ServiceAccount
from registry.models.catalogue import Alias, LatestMetric, Metric, Model, Version
from registry.models.content import Intake, Upload, VersionFile
from registry.models.files import TrackedFile
from registry.models.requests import IdempotentRequest, Turn
from registry.models.tokens import ApiToken
from registry.models.tracking import (
    Experiment,
    LoggedMetric,
    LoggedModel,
    Point,
    Run,
    RunDataset,
    Series,
)
from registry.models.trail import AuditEntry, AuditHead

__all__ = [
    "Alias",
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "Experiment",
    "IdempotentRequest",
    "Intake",
    "LatestMetric",
    "LoggedMetric",
    "LoggedModel",
    "Metric",
    "Model",
    "OpenIDIdentity",
    "Point",
    "RoleGrant",
    "Run",
    "RunDataset",
    "Series",
    "ServiceAccount",
    "TrackedFile",
    "Turn",
    "Upload",
    "Version",
    "VersionFile",
]
