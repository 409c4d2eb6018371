"""Log lines as a collector reads them, and the traces of a change from the request to the world."""

import json
import logging
import re
import threading

import pytest
from django.contrib.auth.models import User
from django.test import Client

from controlplane import tracing
from controlplane.logs import JsonLine
from registry import telemetry
from rollouts import reconcile, services
from rollouts.conftest import author, endpoint, ports, versions
from rollouts.models import Endpoint, Rollout
from tests.receiver import Receiver

__all__ = ["author", "endpoint", "ports", "versions"]


@pytest.fixture
def lines():
    """What is logged from now on, as JSON objects."""
    written: list[dict] = []

    class Keep(logging.Handler):
        def emit(self, record):
            written.append(json.loads(self.format(record)))

    handler = Keep()
    handler.setFormatter(JsonLine())
    root = logging.getLogger()
    level, root.level = root.level, logging.INFO
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)
    root.level = level


@pytest.fixture
def rollout(endpoint, versions, author):
    return services.start_rollout(
        endpoint=endpoint, version=versions[1], strategy="canary", parameters={}, actor=author, reason="new"
    )


@pytest.fixture
def client(db):
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="a-long-password"))
    return client


def test_a_line_is_one_object_with_time_level_logger_and_message(lines):
    logging.getLogger("slipway.test").warning("it is %s", "late\nand odd", extra={"seconds": 3})
    (line,) = lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "WARNING",
        "logger": "slipway.test",
        "message": "it is late\nand odd",
        "seconds": 3,
    }


def test_an_error_keeps_its_traceback(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("slipway.test").exception("failed")
    assert "ValueError: broken" in lines[0]["exc_info"]


def test_lines_of_a_step_have_its_ids_also_in_code_that_knows_nothing_of_them(lines):
    with telemetry.step("outer", request_id="abc"), telemetry.step("inner", rollout=7, endpoint=None):
        logging.getLogger("slipway.test").info("inside")
    logging.getLogger("slipway.test").info("outside")
    assert (lines[0]["request_id"], lines[0]["rollout"]) == ("abc", 7) and "endpoint" not in lines[0]
    assert "request_id" not in lines[1] and "rollout" not in lines[1]


def test_threads_do_not_share_what_they_are_about():
    seen = []
    with telemetry.step("one", rollout=1):
        other = threading.Thread(target=lambda: seen.append(dict(telemetry.ids())))
        other.start()
        other.join()
    assert seen == [{}]


def test_a_request_has_an_id_in_its_answer_and_in_its_line(lines, settings, client, rollout):
    settings.SLIPWAY_LOG_REQUESTS = True
    answer = client.get(f"/rollouts/{rollout.pk}/?q=secret", headers={"X-Request-ID": "my-id"})
    assert answer["X-Request-ID"] == "my-id"
    line = next(line for line in lines if line["logger"] == "controlplane.requests")
    assert (line["request_id"], line["rollout"], line["status"], line["user"]) == (
        "my-id",
        rollout.pk,
        200,
        "ada",
    )
    assert line["route"] == "/rollouts/<int:pk>/" and "secret" not in json.dumps(line)


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, "ü"])
def test_an_id_that_would_harm_the_log_is_replaced(client, sent):
    answer = client.get("/healthz", headers={"X-Request-ID": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-ID"])


def test_probes_leave_no_lines(lines, settings, client):
    settings.SLIPWAY_LOG_REQUESTS = True
    client.get("/healthz")
    assert lines == []


@pytest.mark.django_db
def test_a_move_of_a_rollout_is_a_line_with_its_endpoint_rollout_and_actor(lines, rollout, ports):
    reconcile.tick(rollout.endpoint_id, ports)
    line = next(line for line in lines if line["logger"] == "rollouts.store")
    assert (line["rollout"], line["endpoint"]) == (rollout.pk, rollout.endpoint.name)
    assert "pending -> provisioning" in line["message"]


@pytest.mark.django_db
def test_a_request_its_tick_and_what_the_tick_asks_of_the_world_are_one_trace(
    rollout, ports, client, monkeypatch
):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    reconcile.tick(rollout.endpoint_id, ports)
    with Receiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        provider = tracing.start()
        try:
            client.post(f"/rollouts/{rollout.pk}/abort", {"reason": "complaints", "revision": "0"})
            assert Endpoint.objects.get(pk=rollout.endpoint_id).asked_by
            reconcile.tick(rollout.endpoint_id, ports)
        finally:
            telemetry.use(None)
            provider.shutdown()
    spans = [
        span
        for received in collector.received
        for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    named = {span.name: span for span in spans}
    request, tick, call = named["POST request"], named["tick"], named["router.set_route"]
    assert request.trace_id == tick.trace_id == call.trace_id
    assert tick.parent_span_id == request.span_id and call.parent_span_id == tick.span_id
    attributes = {item.key: item.value.string_value for item in tick.attributes}
    assert attributes["slipway.rollout"] == str(rollout.pk)
    assert Endpoint.objects.get(pk=rollout.endpoint_id).asked_by == ""
    assert Rollout.objects.get(pk=rollout.pk).phase != "provisioning"


@pytest.mark.django_db
def test_without_traces_nothing_is_remembered_of_requests(rollout, client):
    client.post(f"/rollouts/{rollout.pk}/abort", {"reason": "complaints"})
    assert Endpoint.objects.get(pk=rollout.endpoint_id).asked_by == ""
