"""Rows of the monitoring app."""

from monitoring.models.alerts import Alert, AlertEvent, AlertRule, AlertSilence
from monitoring.models.concept import ConceptReading
from monitoring.models.drift import Chore, DriftReading
from monitoring.models.notices import Notice, NoticeTarget
from monitoring.models.samples import Label, Prediction
from monitoring.models.scoring import ScoringJob
from monitoring.models.scrapes import Scrape, ScrapeLayout, ScrapeTarget

__all__ = [
    "Chore",
    "ConceptReading",
    "DriftReading",
    "Alert",
    "AlertEvent",
    "AlertRule",
    "AlertSilence",
    "Label",
    "Notice",
    "NoticeTarget",
    "Prediction",
    "ScoringJob",
    "Scrape",
    "ScrapeLayout",
    "ScrapeTarget",
]
