import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.samples import LabelRecord, PredictionRecord, sampled
from monitoring.tests.samples.records import NOW, label, prediction
from registry.errors import Invalid

OLDEST = NOW - 86_400


def test_the_sampling_rule_chooses_the_share_it_is_asked_for():
    chosen = sum(sampled(f"request-{number}", 0.1) for number in range(20_000))
    assert chosen == pytest.approx(2_000, abs=5 * math.sqrt(20_000 * 0.1 * 0.9))
    assert not sampled("any", 0.0)
    assert sampled("any", 1.0)


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_what_a_low_rate_chooses_a_higher_one_chooses_too(request_id, one, other):
    low, high = sorted((one, other))
    assert sampled(request_id, high) or not sampled(request_id, low)


def test_a_prediction_is_read_with_its_defaults():
    document = prediction()
    del document["mirrored"]
    record = PredictionRecord.parse(document, NOW, OLDEST)
    assert record.key == ("churn-production", "r1", "1")
    assert (record.mirrored, record.segment, record.outputs) == (False, {}, {"score": [0.5]})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "a b"}, "endpoint"),
        ({"version": 1}, "version"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"request_id": "a\x00b"}, "request_id"),
        ({"at": "now"}, "at"),
        ({"at": True}, "at"),
        ({"at": float("nan")}, "at"),
        ({"at": 10**400}, "at"),
        ({"at": NOW + 301}, "at"),
        ({"at": OLDEST - 1}, "at"),
        ({"outputs": {}}, "outputs"),
        ({"outputs": []}, "outputs"),
        ({"outputs": {"y": 1.0}}, "outputs.y"),
        ({"outputs": {"y": [float("inf")]}}, "outputs.y"),
        ({"outputs": {"y": [[1.0]]}}, "outputs.y"),
        ({"outputs": {"y": ["x" * 201]}}, "outputs.y"),
        ({"outputs": {"y": [0.0] * 1001}}, "outputs.y"),
        ({"mirrored": 1}, "mirrored"),
        ({"segment": {"country": 1}}, "segment"),
        ({"trace_id": "0" * 32}, "trace_id"),
        ({"trace_id": "4BF92F3577B34DA6A3CE929D0E0E4736"}, "trace_id"),
        ({"trace_id": 7}, "trace_id"),
        ({"segment": {str(number): "x" for number in range(11)}}, "segment"),
        ({"model": "churn"}, "model"),
    ],
)
def test_a_bad_prediction_is_refused_with_the_field(changes, field):
    with pytest.raises(Invalid) as caught:
        PredictionRecord.parse(prediction(**changes), NOW, OLDEST)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("value", "number", "text"), [(3, 3.0, ""), (True, 1.0, ""), (False, 0.0, ""), ("cat", None, "cat")]
)
def test_labels_are_numbers_booleans_or_texts(value, number, text):
    record = LabelRecord.parse(label(value=value), NOW, OLDEST)
    assert (record.number, record.text) == (number, text)
    assert (record.name, record.version, record.at) == ("label", "", NOW)


@pytest.mark.parametrize("value", [None, "", [], {}, float("nan"), "x" * 201])
def test_a_label_without_a_value_is_refused(value):
    with pytest.raises(Invalid) as caught:
        LabelRecord.parse(label(value=value), NOW, OLDEST)
    assert caught.value.field == "value"
