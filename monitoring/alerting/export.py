"""Rules and dashboards as text, for a Prometheus and a Grafana of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from monitoring.domain.alerts import DEFAULT_RULES, Rule, parse_rule
from monitoring.domain.observability import DASHBOARDS, alerting_rules, dashboard_json, recording_rules

NOTE = "# Made by `manage.py observability`; change monitoring/domain/observability, not this file.\n"


def rules_yaml(rules: Iterable[Rule]) -> str:
    """Alert rules as a Prometheus rules file."""
    return _yaml(alerting_rules(rules))


def files() -> dict[str, str]:
    """Every generated file by its path below `deploy/`, with the default alert rules."""
    defaults = [parse_rule(document) for document in DEFAULT_RULES]
    found = {
        "prometheus/slipway-recordings.yml": NOTE + _yaml(recording_rules()),
        "prometheus/slipway-alerts.yml": NOTE + rules_yaml(defaults),
    }
    for dashboard in DASHBOARDS:
        document = json.dumps(dashboard_json(dashboard), indent=2, ensure_ascii=False)
        found[f"grafana/{dashboard.uid}.json"] = f"{document}\n"
    return found


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=2000, allow_unicode=True)
