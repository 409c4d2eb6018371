"""Charts from pure functions: series in, positions and texts out; a template writes the SVG."""

from monitoring.domain.charts.bars import Population, bar_chart
from monitoring.domain.charts.chart import Chart
from monitoring.domain.charts.scales import chart_step
from monitoring.domain.charts.timeline import Curve, Moment, time_chart

__all__ = ["Chart", "Curve", "Moment", "Population", "bar_chart", "chart_step", "time_chart"]
