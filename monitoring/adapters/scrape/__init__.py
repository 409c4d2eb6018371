"""The embedded metrics store: a scraper that writes Prometheus pages to the database, and their source."""

from monitoring.adapters.scrape.source import ScrapeSource

__all__ = ["ScrapeSource"]
