from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest
from django.template.loader import render_to_string

from monitoring.adapters.memory import MemorySource
from monitoring.domain.histogram import Histogram
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.queries import Mark, VersionLine, distribution_chart, endpoint_charts

NOW = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
WINDOW = Window.last(300, NOW)
VERSIONS = [VersionLine("1", "stable"), VersionLine("3", "candidate")]
EDGES = [0.01, 0.1]
PROFILE = {
    "outputs": [
        {"name": "y", "kind": "numeric", "edges": [1.5, 3.0], "counts": [10, 20, 30], "min": 0, "max": 6}
    ]
}


@pytest.fixture
def source():
    made = MemorySource()
    for second in range(301):
        at = NOW.timestamp() - 300 + second
        for version, ok, bad in (("1", 9, 1), ("3", 1, 1)):
            labels = {"endpoint": "prod", "model_version": version}
            made.add("model_predictions_total", {**labels, "status": "ok"}, at, ok * second)
            made.add("model_predictions_total", {**labels, "status": "timeout"}, at, bad * second)
            counts = np.array([ok, bad, 0]) * second
            made.add_histogram("model_prediction_seconds", labels, at, Histogram.of(EDGES, counts))
            outputs = Histogram.of([1.0, 2.0], np.array([bad, ok, 1]) * second)
            made.add_histogram("model_output_value", {**labels, "output": "y"}, at, outputs)
    return made


def test_an_endpoint_has_charts_of_requests_errors_and_latency(source):
    charts = {chart.title: chart for chart in endpoint_charts(source, "prod", VERSIONS, WINDOW)}
    assert list(charts) == ["Requests", "Error rate", "Latency p50", "Latency p95", "Latency p99"]
    assert [entry.value for entry in charts["Requests"].legend] == ["10.0/s", "2.0/s"]
    assert [entry.value for entry in charts["Error rate"].legend] == ["10.0 %", "50.0 %"]
    assert "version 3 (candidate) 16.7 %" in charts["Requests"].caption
    assert charts["Latency p50"].legend[0].value == "5.56 ms"


def test_rejections_have_a_chart_only_where_there_are_some(source):
    labels = {"endpoint": "prod", "model_version": "3", "status": "rejected"}
    for second in range(301):
        source.add("model_predictions_total", labels, NOW.timestamp() - 300 + second, second)
    titles = [chart.title for chart in endpoint_charts(source, "prod", VERSIONS, WINDOW)]
    assert "Rejected requests" in titles


def test_a_version_without_traffic_has_gaps_not_zero_errors(source):
    chart = endpoint_charts(source, "prod", [*VERSIONS, VersionLine("9", "candidate")], WINDOW)[1]
    assert chart.legend[2].value == "no data"
    assert chart.lines[2].path == ""


def test_charts_of_many_versions_are_two_queries(source):
    asked = []
    for name in ("rates", "histogram_series"):
        real = getattr(source, name)
        setattr(source, name, lambda metric, _real=real, **kw: asked.append(metric) or _real(metric, **kw))
    endpoint_charts(source, "prod", VERSIONS, WINDOW)
    assert asked == ["model_predictions_total", "model_prediction_seconds"]


def test_an_outage_is_the_callers_to_tell(source):
    source.outage = "gone"
    with pytest.raises(MetricsUnavailable):
        endpoint_charts(source, "prod", VERSIONS, WINDOW)


def test_the_distribution_overlays_baseline_stable_and_candidate(source):
    chart = distribution_chart(source, "prod", VERSIONS, WINDOW, profile=PROFILE)
    assert [entry.role for entry in chart.legend] == ["baseline", "stable", "candidate"]
    assert len(chart.bars) == 9
    assert chart.caption.startswith("PSI of version 3 (candidate): ")
    # The baseline's own bins (0, 1.5], (1.5, 3], (3, 6] spread over ≤ 1, 1 to 2, > 2.
    shares = [series["text"] for series in chart.hover["series"] if series["role"] == "baseline"]
    assert shares == [["11.1 %", "16.7 %", "72.2 %"]]


def test_without_predictions_there_is_no_distribution(source):
    assert distribution_chart(source, "elsewhere", VERSIONS, WINDOW, profile=PROFILE) is None
    assert distribution_chart(source, "elsewhere", VERSIONS, WINDOW) is None
    assert distribution_chart(source, "prod", [], WINDOW) is None


def rendered(chart) -> ElementTree.Element:
    return ElementTree.fromstring(
        f"<figure>{render_to_string('monitoring/_chart.html', {'chart': chart})}</figure>"
    )


def test_a_chart_is_well_formed_svg_that_reads_without_script(source):
    marks = [Mark(NOW - timedelta(seconds=100), 'to <25 %> & "more"', "rollback")]
    chart = endpoint_charts(source, "prod", VERSIONS, WINDOW, marks)[0]
    figure = rendered(chart)
    svg = figure.find("svg[@role='img']")
    names = svg.get("aria-labelledby").split()
    assert [svg.find(f"*[@id='{name}']").tag for name in names] == ["title", "desc"]
    assert len(svg.findall("path[@class='series series--stable']")) == 1
    assert "".join(svg.find("g[@class='mark mark--rollback']").itertext()) == 'to <25 %> & "more"'
    assert {"requests per second", "time (UTC)"} <= {text.text for text in svg.iter("text")}
    assert "version 1 (stable)" in "".join(figure.find("figcaption").itertext())


def test_the_markup_obeys_the_content_security_policy(source):
    chart = endpoint_charts(source, "prod", VERSIONS, WINDOW)[0]
    markup = render_to_string("monitoring/_chart.html", {"chart": chart})
    assert "style=" not in markup
    assert "<script" not in markup
    assert "onmouse" not in markup


def test_an_empty_chart_is_a_sentence(source):
    chart = endpoint_charts(source, "prod", [VersionLine("9", "stable")], WINDOW)[0]
    figure = rendered(chart)
    assert figure.find("svg[@role='img']") is None
    assert "No measurements" in figure.find("p").text
