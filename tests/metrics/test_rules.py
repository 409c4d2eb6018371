"""The generated rules in promtool, and in a real Prometheus beside Slipway's own evaluation."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.alerting.export import files, rules_yaml
from monitoring.domain.alerts import parse_rule
from monitoring.domain.observability import DASHBOARDS, RECORDINGS, alerting_rules, recording_rules
from tests.servers import process

ROOT = Path(__file__).resolve().parents[2]
SERVED = 'endpoint="prod",model="churn",model_version="2"'
LABELS = {
    "endpoint": "prod",
    "model": "churn",
    "model_version": "2",
    "severity": "warning",
    "source": "slipway",
}


@pytest.fixture(scope="module")
def promtool(request: pytest.FixtureRequest) -> str:
    try:
        return process.program("promtool", "prometheus")
    except process.Absent as why:
        import os

        pytest.fail(str(why)) if os.environ.get("CI") == "true" else pytest.skip(str(why))


def checked(promtool: str, *arguments: str) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(files()))
def test_the_files_in_the_repository_are_those_that_the_definition_makes(name):
    assert (ROOT / "deploy" / name).read_text() == files()[name], "run `manage.py observability`"


def test_promtool_accepts_the_rules(promtool):
    found = [str(ROOT / "deploy" / name) for name in sorted(files()) if name.endswith(".yml")]
    assert "12 rules found" in checked(promtool, "check", "rules", *found)


EVERY_SERIES = [
    {"name": "a", "series": "latency", "threshold": 200, "endpoint": 'odd"\\one'},
    {"name": "b", "series": "error_rate", "threshold": 0.02, "model": "churn"},
    {"name": "c", "series": "rejection_rate", "threshold": 0.02, "min_samples": 0},
    {"name": "d", "series": "request_rate", "operator": "<", "threshold": 1},
    {"name": "e", "series": "gauge", "metric": "model_queue_depth", "threshold": 10},
    {"name": "f", "series": "rate", "metric": "model_cache_requests_total", "threshold": 1e-9},
    {"name": "g", "series": "psi_input", "threshold": 0.2, "column": "age"},
    {"name": "h", "series": "kl_output", "threshold": 0.2},
]


def test_promtool_accepts_a_rule_on_every_series(promtool, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(rules_yaml(parse_rule(document) for document in EVERY_SERIES))
    assert "14 rules found" in checked(promtool, "check", "rules", str(path))


def test_every_expression_of_a_dashboard_is_promql_over_series_that_exist(promtool, tmp_path):
    queries = [query.expression for board in DASHBOARDS for panel in board.panels for query in panel.queries]
    plain = [q.replace("$__rate_interval", "1m").replace("$endpoint", ".*") for q in queries]
    document = {
        "groups": [{"name": "x", "rules": [{"record": f"r{i}", "expr": q} for i, q in enumerate(plain)]}]
    }
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(document))
    checked(promtool, "check", "rules", str(path))
    recorded = {item.name for item in RECORDINGS}
    used = {name for query in queries for name in re.findall(r"slipway:[a-z0-9_:]+", query)}
    assert used <= recorded
    exposed = exposed_names()
    own = {name for query in queries for name in re.findall(r"\bslipway_[a-z_]+", query)}
    own |= {
        n
        for item in alerting_rules([])["groups"][0]["rules"]
        for n in re.findall(r"\bslipway_[a-z_]+", item["expr"])
    }
    missing = {name for name in own if not name.startswith(exposed)}
    assert not missing


def exposed_names() -> tuple[str, ...]:
    """The names in the sources that expose Slipway's own figures."""
    sources = ("rollouts/measures.py", "monitoring/measures.py", "monitoring/adapters/process_metrics.py")
    text = "".join((ROOT / source).read_text() for source in sources)
    return tuple(re.findall(r'"(slipway_[a-z_]+)"', text))


def test_dashboards_have_one_data_source_variable_and_no_panel_over_another():
    for name, text in files().items():
        if not name.endswith(".json"):
            continue
        document = json.loads(text)
        assert document["templating"]["list"][0]["name"] == "datasource"
        places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in document["panels"]]
        cells = [(x + dx, y + dy) for x, y, w, h in places for dx in range(w) for dy in range(h)]
        assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
        assert all(target["expr"] for panel in document["panels"] for target in panel["targets"])


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    inner = ",".join([SERVED, *(f'{key}="{value}"' for key, value in labels.items())])
    return {"series": f"{name}{{{inner}}}", "values": values}


def promtool_tests(promtool: str, folder: Path, tests: list[dict]) -> None:
    """`promtool test rules` over the generated files."""
    for name in ("recordings", "alerts"):
        path = ROOT / "deploy" / "prometheus" / f"slipway-{name}.yml"
        (folder / path.name).write_text(path.read_text())
    document = {
        "rule_files": ["slipway-recordings.yml", "slipway-alerts.yml"], "evaluation_interval": "15s", "tests": tests,
    }  # fmt: skip
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(document))
    checked(promtool, "test", "rules", str(path))


def fires(name: str, at: str, *alerts: dict) -> dict:
    return {"eval_time": at, "alertname": name, "exp_alerts": list(alerts)}


def test_the_error_rate_alert_fires_after_two_minutes_and_never_on_a_handful_of_requests(promtool, tmp_path):
    rule = next(r for r in yaml.safe_load(files()["prometheus/slipway-alerts.yml"])["groups"][0]["rules"]
                if r["alert"] == "error_rate")  # fmt: skip
    summary = "prod v2: error rate is 100m (rule: error rate > 2.0 % for 2 min)"
    told = {
        "exp_labels": {**LABELS, "severity": "critical"},
        "exp_annotations": {"summary": summary, "description": rule["annotations"]["description"]},
    }
    loud = [
        series("model_predictions_total", "0+135x40", status="ok"),
        series("model_predictions_total", "0+15x40", status="error"),
    ]
    few = [
        series("model_predictions_total", "0+1x40", status="ok"),
        series("model_predictions_total", "0+1x40", status="error"),
    ]
    promtool_tests(promtool, tmp_path, [
        {"interval": "15s", "input_series": loud,
         "alert_rule_test": [fires("error_rate", "1m"), fires("error_rate", "5m", told)]},
        {"interval": "15s", "input_series": few, "alert_rule_test": [fires("error_rate", "8m")]},
    ])  # fmt: skip


def test_the_latency_alert_and_the_recorded_quantile(promtool, tmp_path):
    def latencies(bounds: dict[str, int]) -> list[dict[str, str]]:
        found = [series("model_prediction_seconds_bucket", f"0+{n}x40", le=le) for le, n in bounds.items()]
        return [*found, series("model_prediction_seconds_count", f"0+{bounds['+Inf']}x40")]

    slow = latencies({"0.1": 50, "0.2": 80, "0.4": 100, "+Inf": 100})
    fast = latencies({"0.1": 100, "0.2": 100, "0.4": 100, "+Inf": 100})
    told = {
        "exp_labels": LABELS,
        "exp_annotations": {
            "summary": "prod v2: p95 latency is 350 (rule: p95 latency > 200 ms for 5 min)",
            "description": "Nineteen of twenty requests should be answered within 200 ms.",
        },
    }
    recorded = {
        "expr": "slipway:latency_seconds:p95", "eval_time": "5m",
        "exp_samples": [{"labels": f"slipway:latency_seconds:p95{{{SERVED}}}", "value": 0.35}],
    }  # fmt: skip
    promtool_tests(promtool, tmp_path, [
        {"interval": "15s", "input_series": slow, "promql_expr_test": [recorded],
         "alert_rule_test": [fires("latency_p95", "5m"), fires("latency_p95", "7m", told)]},
        {"interval": "15s", "input_series": fast, "alert_rule_test": [fires("latency_p95", "9m")]},
    ])  # fmt: skip


def test_drift_and_slipway_itself(promtool, tmp_path):
    drift = {
        "series": f'slipway_alert_series_value{{rule="input_psi",column="age",{SERVED}}}', "values": "0.5x100",
    }  # fmt: skip
    told = {
        "exp_labels": {**LABELS, "rule": "input_psi", "column": "age"},
        "exp_annotations": {
            "summary": "prod v2: PSI of the input age is 500m (rule: PSI of the input > 0.2 for 15 min)",
            "description": "A feature has moved far from the reference data.",
        },
    }
    late = {
        "exp_labels": {"severity": "critical"},
        "exp_annotations": {
            "summary": "Rollouts are not being walked: the most overdue tick is 1m 30s late."
        },
    }
    promtool_tests(promtool, tmp_path, [
        {"interval": "15s", "input_series": [drift, {"series": "slipway_tick_lag_seconds", "values": "90x100"}],
         "alert_rule_test": [fires("input_psi", "10m"), fires("input_psi", "16m", told),
                             fires("SlipwayTicksLate", "5m", late), fires("SlipwayGone", "10m")]},
        {"interval": "15s", "input_series": [], "alert_rule_test": [fires("SlipwayGone", "6m", {
            "exp_labels": {"severity": "critical"},
            "exp_annotations": {"summary": "Prometheus has had no metrics of Slipway for five minutes."},
        })]},
    ])  # fmt: skip


def test_recordings_are_named_as_the_dashboards_ask():
    assert [rule["record"] for rule in recording_rules()["groups"][0]["rules"]] == [
        r.name for r in RECORDINGS
    ]
