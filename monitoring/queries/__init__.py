"""What pages show, from any metrics source."""

from monitoring.queries.charts import Mark, VersionLine, distribution_chart, endpoint_charts

__all__ = ["Mark", "VersionLine", "distribution_chart", "endpoint_charts"]
