import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.adapters.scrape.codec import decode, encode
from monitoring.adapters.scrape.exposition import Layout, PageParser
from monitoring.errors import BadExposition


@pytest.fixture
def page():
    registry = CollectorRegistry()
    total = Counter("model_predictions", "Answers.", ["status"], registry=registry)
    seconds = Histogram("model_prediction_seconds", "Times.", ["model"], buckets=[0.1, 1], registry=registry)

    def render() -> str:
        total.labels('odd "x" \\ \n {},=').inc()
        total.labels("ok").inc(41)
        seconds.labels("m").observe(0.5)
        return generate_latest(registry).decode()

    return render


def test_a_page_reads_as_the_reference_parser_reads_it(page):
    text = page()
    layout, values = PageParser().parse(text)
    ours = [(name, dict(labels), value) for (name, labels), value in zip(layout.columns, values, strict=True)]
    theirs = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


def test_the_same_series_keep_their_layout_and_new_ones_make_another(page):
    parser = PageParser()
    first, _ = parser.parse(page())
    second, values = parser.parse(page())
    assert second is first
    assert 82 in values
    third, _ = parser.parse(page() + "another 1\n")
    assert third is not first


def test_time_stamps_and_odd_spacing_are_read_every_time():
    parser = PageParser()
    for value in (1, 2, 3):
        layout, values = parser.parse(
            f'a{{b="c d"}} {value} 1700000000{value}\nb   {value}\nnothing NaN\nx +Inf\n'
        )
        assert [name for name, _ in layout.columns] == ["a", "b", "nothing", "x"]
        assert values[:2].tolist() == [value, value]
        assert math.isnan(values[2])
        assert values[3] == math.inf


@pytest.mark.parametrize("text", ["<html>", "a{b=c} 1", "a 1 2 3", "a b", "1a 2", '{"json": 1}', "a{ 1"])
def test_what_is_no_exposition_is_refused_with_the_line(text):
    with pytest.raises(BadExposition):
        PageParser().parse(text)


def test_a_layout_survives_storage(page):
    layout, _ = PageParser().parse(page())
    again = Layout.load(layout.dump())
    assert again.digest == layout.digest
    assert again.columns == layout.columns
    (histogram,) = again.histograms("model_prediction_seconds")
    assert histogram.edges.tolist() == [0.1, 1]


@given(st.lists(st.floats(width=64)))
def test_values_survive_storage_bit_by_bit(values):
    array = np.array(values, dtype=np.float64)
    assert decode(encode(array)).tobytes() == array.tobytes()


def test_counts_are_stored_in_a_fraction_of_their_size():
    counts = np.arange(300.0) ** 2
    assert len(encode(counts)) < counts.nbytes / 3
