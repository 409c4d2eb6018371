"""Rows of the monitoring app."""

from monitoring.models.samples import Label, Prediction
from monitoring.models.scrapes import Scrape, ScrapeLayout, ScrapeTarget

__all__ = ["Label", "Prediction", "Scrape", "ScrapeLayout", "ScrapeTarget"]
