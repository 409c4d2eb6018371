"""What is drawn: three dashboards over the recorded series and Slipway's own metrics."""

from __future__ import annotations

from monitoring.domain.observability.shapes import Dashboard, Panel, Query

_AT = '{endpoint=~"$endpoint"}'
_VERSION = "{{endpoint}} v{{model_version}}"
DASHBOARDS = (
    Dashboard(
        "slipway-overview",
        "Slipway: all endpoints",
        (
            Panel(
                "Requests",
                (Query("sum by (endpoint) (slipway:requests:rate)", "{{endpoint}}"),),
                "reqps",
                text="Requests per second of each endpoint, all versions together.",
            ),
            Panel(
                "Failing requests",
                (Query("topk(10, max by (endpoint) (slipway:errors:ratio))", "{{endpoint}}"),),
                "percentunit",
                limit=0.02,
                text="The ten endpoints with the highest share of failing requests.",
            ),
            Panel(
                "Slowest",
                (Query("topk(10, max by (endpoint) (slipway:latency_seconds:p95))", "{{endpoint}}"),),
                "s",
                limit=0.2,
                text="p95 of the ten slowest endpoints.",
            ),
            Panel(
                "Waiting",
                (Query("topk(10, sum by (endpoint) (slipway:queue_depth:sum))", "{{endpoint}}"),),
                text="Requests that wait for a model run.",
            ),
            Panel(
                "Firing alerts",
                (Query("sum by (rule, severity) (slipway_alerts)", "{{rule}} ({{severity}})"),),
                text="Alerts of Slipway that fire.",
            ),
            Panel(
                "Versions with traffic",
                (
                    Query(
                        "count by (endpoint) (sum by (endpoint, model_version) (slipway:requests:rate) > 0)",
                        "{{endpoint}}",
                    ),
                ),
                text="Two while a rollout is under way.",
            ),
        ),
    ),
    Dashboard(
        "slipway-endpoint",
        "Slipway: one endpoint",
        (
            Panel(
                "Requests by version",
                (Query(f"sum by (endpoint, model_version) (slipway:requests:rate{_AT})", _VERSION),),
                "reqps",
            ),
            Panel(
                "Requests by outcome",
                (Query(f"sum by (status) (slipway:requests:rate{_AT})", "{{status}}"),),
                "reqps",
            ),
            Panel(
                "Share of failing requests",
                (Query(f"slipway:errors:ratio{_AT}", _VERSION),),
                "percentunit",
                limit=0.02,
            ),
            *(
                Panel(
                    f"Latency {name}",
                    (Query(f"slipway:latency_seconds:{name}{_AT}", _VERSION),),
                    "s",
                    limit=0.2 if name == "p95" else None,
                )
                for name in ("p50", "p95", "p99")
            ),
            Panel(
                "Latency, waiting and computing (p95)",
                (
                    Query(f"slipway:queue_seconds:p95{_AT}", f"{_VERSION} waiting"),
                    Query(f"slipway:compute_seconds:p95{_AT}", f"{_VERSION} computing"),
                ),
                "s",
            ),
            Panel("Requests waiting for a run", (Query(f"slipway:queue_depth:sum{_AT}", _VERSION),)),
            Panel("Rows per run (mean)", (Query(f"slipway:batch_size:mean{_AT}", _VERSION),)),
            Panel(
                "Outputs",
                (
                    Query(
                        f"sum by (le) (rate(model_output_value_bucket{_AT}[$__rate_interval]))",
                        "{{le}}",
                        True,
                    ),
                ),
                kind="heatmap",
                text="How predictions are distributed, over the bins of the baseline.",
            ),
            Panel(
                "Divergence from the baseline",
                (
                    Query(
                        'slipway_alert_series_value{endpoint=~"$endpoint", rule=~".*(psi|kl).*"}',
                        "{{rule}} v{{model_version}} {{column}}",
                    ),
                ),
                limit=0.2,
                text="PSI and KL of inputs and outputs against the profile of registration.",
            ),
            Panel(
                "Latencies",
                (
                    Query(
                        f"sum by (le) (rate(model_prediction_seconds_bucket{_AT}[$__rate_interval]))",
                        "{{le}}",
                        True,
                    ),
                ),
                "s",
                "heatmap",
            ),
        ),
        {"endpoint": "label_values(model_predictions_total, endpoint)"},
    ),
    Dashboard(
        "slipway-self",
        "Slipway itself",
        (
            Panel(
                "Rollouts under way",
                (Query("sum by (phase) (slipway_rollouts)", "{{phase}}"),),
                width=8,
            ),
            Panel(
                "Rollouts that ended",
                (Query("sum by (ending) (increase(slipway_rollouts_ended_total[1d]))", "{{ending}}"),),
                width=8,
                text="Per day.",
            ),
            Panel(
                "Change failure rate",
                (Query("slipway_change_failure_ratio", "{{environment}}"),),
                "percentunit",
                width=8,
            ),
            Panel(
                "Time of a rollback (p95)",
                (
                    Query(
                        "histogram_quantile(0.95, sum by (le) (slipway_rollback_duration_seconds_bucket))",
                        "p95",
                    ),
                ),
                "s",
                text="From the decision until the router was seen without the candidate.",
            ),
            Panel(
                "Ticks",
                (
                    Query("max(slipway_tick_lag_seconds)", "most overdue tick"),
                    Query("max(slipway_observation_age_seconds)", "oldest observation"),
                ),
                "s",
                limit=30,
            ),
            Panel(
                "Newest verdicts",
                (Query("sum by (verdict) (slipway_verdicts)", "{{verdict}}"),),
            ),
            Panel(
                "Candidates' share of the traffic",
                (Query("slipway_candidate_weight_ratio", "{{endpoint}} #{{rollout}}"),),
                "percentunit",
            ),
            Panel(
                "Notices that wait",
                (Query("slipway_notices_pending", "{{target}}"),),
            ),
            Panel(
                "Age of the oldest notice",
                (Query("slipway_notice_age_seconds", "{{target}}"),),
                "s",
                limit=600,
            ),
            Panel(
                "Alerts that fire",
                (Query("sum by (severity) (slipway_alerts)", "{{severity}}"),),
            ),
            Panel(
                "Alert rules without data or with an error",
                (Query('sum by (health) (slipway_alert_rule_health{health!="ok"})', "{{health}}"),),
            ),
            Panel(
                "Requests to web",
                (
                    Query(
                        "sum by (code) (rate(slipway_request_duration_seconds_count[$__rate_interval]))",
                        "{{code}}",
                    ),
                ),
                "reqps",
            ),
            Panel(
                "Time of a request (p95)",
                (
                    Query(
                        "histogram_quantile(0.95, sum by (le, route)"
                        " (rate(slipway_request_duration_seconds_bucket[$__rate_interval])))",
                        "{{route}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Tasks of workers",
                (
                    Query(
                        "sum by (task, outcome)"
                        " (rate(slipway_task_duration_seconds_count[$__rate_interval]))",
                        "{{task}} {{outcome}}",
                    ),
                ),
                "ops",
            ),
            Panel(
                "Time of a task and of a dispatcher's round (p95)",
                (
                    Query(
                        "histogram_quantile(0.95, sum by (le, task)"
                        " (rate(slipway_task_duration_seconds_bucket[$__rate_interval])))",
                        "{{task}}",
                    ),
                    Query(
                        "histogram_quantile(0.95, sum by (le)"
                        " (rate(slipway_tick_round_duration_seconds_bucket[$__rate_interval])))",
                        "round",
                    ),
                ),
                "s",
            ),
            Panel(
                "Scoring jobs",
                (Query('sum by (state) (slipway_scoring_jobs{state!="succeeded"})', "{{state}}"),),
            ),
        ),
    ),
)
