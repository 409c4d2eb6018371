"""Batch sizes from measured run times."""

from __future__ import annotations

import json

import pytest

from deploy.serving.errors import LoadError
from deploy.serving.tuning import DEFAULT_BATCH, Tuning, parse_latency, tune
from deploy.serving.warmup import Profile

from . import models
from .support import running

GOOD = Profile(True)
# Milliseconds per run on one core, as measured for the benchmark's models.
TABULAR = {1: 4.7e-6, 8: 9.1e-6, 32: 23e-6, 128: 70e-6}
PERCEPTRON = {1: 68e-6, 8: 144e-6, 32: 460e-6}
CONVNET = {1: 1210e-6, 8: 9150e-6, 32: 35300e-6}


def tuned(latency, **changes):
    given = {"max_batch": 0, "delay_ms": 0.0, "deadline_ms": 10_000.0, "profile": GOOD, **changes}
    return tune(given["max_batch"], given["delay_ms"], given["deadline_ms"], latency, given["profile"])


@pytest.mark.parametrize(
    ("latency", "rows"), [(TABULAR, 128), (PERCEPTRON, 32), (CONVNET, 8), ({}, DEFAULT_BATCH)]
)
def test_batches_grow_as_long_as_rows_get_cheaper(latency, rows):
    assert tuned(latency).max_batch == rows


def test_a_run_keeps_to_its_share_of_the_deadline():
    assert tuned(PERCEPTRON, deadline_ms=2.0).max_batch == 8


def test_what_is_configured_wins():
    assert tuned(TABULAR, max_batch=5, delay_ms=2.0) == Tuning(5, 0.002)


def test_an_idle_server_adds_no_delay_unless_told_to():
    assert tuned(TABULAR).delay_seconds == 0


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"latency": {}}, "latency: must be a list of run times"),
        ({"latency": [3]}, "latency[0] must be an object"),
        ({"latency": [{"batch": 0, "p50_ms": 1}]}, "latency[0].batch"),
        ({"latency": [{"batch": True, "p50_ms": 1}]}, "latency[0].batch"),
        ({"latency": [{"batch": 1, "p50_ms": 1}, {"batch": 1, "p50_ms": 0}]}, "latency[1].p50_ms"),
        ({"latency": [{"batch": 1, "p50_ms": float("nan")}]}, "latency[0].p50_ms"),
    ],
)
def test_a_bad_profile_is_refused_with_the_path(document, complaint):
    with pytest.raises(LoadError) as caught:
        parse_latency(document)
    assert complaint in str(caught.value)


def test_a_document_without_a_profile_has_none():
    assert parse_latency({}) == {}


@pytest.mark.parametrize("flag", ["latency", "histograms"])
def test_the_server_takes_its_batch_size_from_the_profile_of_either_document(tmp_path, flag):
    file = tmp_path / "profile.json"
    entries = [{"batch": size, "runs": 30, "p50_ms": seconds * 1000} for size, seconds in TABULAR.items()]
    file.write_text(json.dumps({"latency": entries}))
    with running(tmp_path, models.linear(), **{flag: file}) as process:
        assert process.get("/v2/models/m/config").json["max_batch_size"] == 128
