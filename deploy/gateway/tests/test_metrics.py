from prometheus_client.parser import text_string_to_metric_families

from deploy.gateway.metrics import SECONDS, Metrics

LABELS = {"endpoint": "d", "model": "m", "model_version": "1"}


def samples(metrics):
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics, name, **labels):
    return samples(metrics)[(name, *sorted((LABELS | labels).items()))]


def test_counters_start_at_zero_so_that_their_first_increase_shows():
    metrics = Metrics()
    metrics.series("d", "m", "1")
    assert value(metrics, "model_predictions_total", status="unreachable") == 0
    assert value(metrics, "gateway_requests_total", code="200") == 0
    assert value(metrics, "gateway_request_seconds_count") == 0


def test_answers_are_counted_by_code_and_duration():
    metrics = Metrics()
    series = metrics.series("d", "m", "1")
    series.answered(200, 0.004)
    series.answered(200, 0.005)
    series.answered(502, 11.0)
    assert value(metrics, "gateway_requests_total", code="200") == 2
    assert value(metrics, "gateway_requests_total", code="502") == 1
    assert value(metrics, "gateway_request_seconds_bucket", le="0.003") == 0
    assert value(metrics, "gateway_request_seconds_bucket", le="0.005") == 2
    assert value(metrics, "gateway_request_seconds_bucket", le="10.0") == 2
    assert value(metrics, "gateway_request_seconds_bucket", le="+Inf") == 3
    assert abs(value(metrics, "gateway_request_seconds_sum") - 11.009) < 1e-9


def test_mirrored_and_unreachable_requests_and_those_under_way_are_exposed():
    metrics = Metrics()
    series = metrics.series("d", "m", "1")
    series.mirrored["dropped"] += 3
    series.unreachable += 2
    series.inflight += 1
    assert value(metrics, "gateway_mirrored_total", outcome="dropped") == 3
    assert value(metrics, "model_predictions_total", status="unreachable") == 2
    assert value(metrics, "gateway_inflight") == 1


def test_the_buckets_are_those_that_all_latency_histograms_share():
    assert len(SECONDS) == 24 and list(SECONDS) == sorted(SECONDS)
