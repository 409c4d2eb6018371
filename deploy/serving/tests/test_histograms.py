"""Counting: exact, on `value <= le`, whatever the batching."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deploy.serving.datatypes import BY_OIP, to_bfloat16
from deploy.serving.errors import LoadError
from deploy.serving.exposition import HistogramSeries
from deploy.serving.histogram_spec import parse_histograms
from deploy.serving.histograms import BUFFERED_ROWS, NumericColumn, ProfileHistograms
from deploy.serving.signature import Signature, TensorSpec

FP32, INT64, BYTES = BY_OIP["FP32"], BY_OIP["INT64"], BY_OIP["BYTES"]
LABELS = {"endpoint": "e", "model": "m", "model_version": "1"}


def spec(inputs=(), outputs=()):
    return parse_histograms({"inputs": list(inputs), "outputs": list(outputs)})


def numeric(name, tensor, column, edges):
    return {"name": name, "tensor": tensor, "column": column, "kind": "numeric", "edges": edges}


def bucket_lines(text, name):
    return [line for line in text.splitlines() if line.startswith(f"{name}_bucket")]


def values(text, prefix):
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(prefix)]


def one_input(edges, width=1):
    signature = Signature((TensorSpec("X", FP32, (-1, width)),), ())
    return ProfileHistograms(spec([numeric("f", "X", 0, edges)]), signature, LABELS)


def test_a_value_on_an_edge_belongs_to_the_bin_that_ends_there():
    histograms = one_input([1.0, 2.0])
    histograms.observe([np.array([[1.0], [2.0], [2.5]], dtype=np.float32)], [])
    assert values(histograms.text(), "model_input_value_bucket") == [1, 2, 3]


def test_a_double_precision_edge_keeps_its_own_value_though_float32_rounds_it_up():
    edge = 0.1
    assert float(np.float32(edge)) > edge
    histograms = one_input([edge, 1.0])
    histograms.observe([np.array([[edge]], dtype=np.float32)], [])
    assert values(histograms.text(), "model_input_value_bucket") == [1, 1, 1]


def test_booleans_and_bfloat16_are_counted_as_the_profile_writes_them():
    tensors = [TensorSpec(name, BY_OIP[name], (-1,)) for name in ("BOOL", "BF16")]
    items = [numeric("flag", "BOOL", 0, [0.0, 0.5]), numeric("half", "BF16", 0, [1.0, 2.0])]
    classes = {
        "name": "flag",
        "tensor": "BOOL",
        "column": None,
        "kind": "categorical",
        "categories": ["0", "1"],
    }
    histograms = ProfileHistograms(spec(items, [classes]), Signature(tuple(tensors), tuple(tensors)), LABELS)
    flags, halves = np.array([True, False, True]), to_bfloat16(np.array([1.0, 1.5, 3.0], dtype=np.float32))
    histograms.observe([flags, halves], [flags, halves])
    text = histograms.text()
    assert values(text, "model_input_value_bucket") == [1, 1, 3, 1, 2, 3]
    assert values(text, "model_input_value_sum") == [2, 5.5]
    assert values(text, "model_output_class_total") == [1, 2, 0]


def test_missing_values_are_counted_for_each_feature_where_they_may_come():
    signature = Signature((TensorSpec("X", FP32, (-1, 2)),), ())
    items = [numeric("a", "X", 0, [1.0]), numeric("b", "X", 1, [1.0])]
    histograms = ProfileHistograms(spec(items), signature, LABELS, missing=True)
    histograms.observe([np.array([[np.nan, 1], [2, 1], [np.nan, np.inf]], dtype=np.float32)], [])
    assert values(histograms.text(), "model_input_missing_total") == [2, 0]
    assert values(histograms.text(), "model_input_value_count") == [1, 3]
    assert "missing" not in one_input([1.0]).text()


@given(
    arrays(np.float32, st.integers(0, 3 * BUFFERED_ROWS), elements=st.floats(-100, 100, width=32)),
    st.lists(st.floats(-100, 100), min_size=1, max_size=8, unique=True),
    st.integers(1, 400),
)
def test_counts_equal_a_recount_one_by_one(column, edges, size):
    edges = sorted(edges)
    histograms = one_input(edges)
    for start in range(0, len(column), size):
        histograms.observe([column[start : start + size].reshape(-1, 1)], [])
    rounded = [float(np.float32(edge)) for edge in edges]
    expected = [0] * (len(edges) + 1)
    for value in column.tolist():
        expected[bisect_left(rounded, value)] += 1
    text = histograms.text()
    assert values(text, "model_input_value_bucket") == np.cumsum(expected).tolist()
    assert values(text, "model_input_value_count") == [len(column)]
    assert values(text, "model_input_value_sum")[0] == pytest.approx(column.sum(dtype=np.float64), abs=1e-6)


def test_nan_is_in_no_bin_and_infinity_is_counted_but_not_summed():
    column = NumericColumn(HistogramSeries("h", {}, [0.0]), [0.0], np.dtype(np.float32))
    column.count(np.array([np.nan, np.inf, -np.inf, 2.0], dtype=np.float32))
    assert column.counts.tolist() == [1, 2]
    assert column.total == 2.0


def test_columns_of_a_wide_tensor_are_picked_from_the_flattened_row():
    signature = Signature((TensorSpec("X", FP32, (-1, 2, 2)),), ())
    histograms = ProfileHistograms(spec([numeric("corner", "X", 3, [5.0])]), signature, LABELS)
    histograms.observe([np.array([[[0, 0], [0, 4]], [[9, 9], [9, 6]]], dtype=np.float32)], [])
    assert values(histograms.text(), "model_input_value_bucket") == [1, 2]


def test_single_rows_among_batches_are_all_counted_however_often_the_buffer_fills():
    signature = Signature((TensorSpec("X", FP32, (-1, 2, 2)),), ())
    items = [numeric("b", "X", 1, [0.0, 1.0]), numeric("c", "X", 2, [0.0, 1.0])]
    histograms = ProfileHistograms(spec(items), signature, LABELS)
    table = np.random.default_rng(0).normal(size=(3 * BUFFERED_ROWS, 2, 2)).astype(np.float32)
    start = 0
    while start < len(table):
        rows = 7 if start % 50 == 0 else 1
        histograms.observe([table[start : start + rows]], [])
        start += rows
    found = values(histograms.text(), "model_input_value_bucket")
    for column, counts in ((1, found[:3]), (2, found[3:])):
        flat = table.reshape(-1, 4)[:, column]
        assert counts == [(flat <= 0).sum(), (flat <= 1).sum(), len(flat)]


def test_classes_are_counted_by_name_and_strangers_as_other():
    signature = Signature((), (TensorSpec("label", INT64, (-1,)),))
    item = {"name": "label", "tensor": "label", "column": None, "kind": "categorical",
            "categories": ["0", "1"]}  # fmt: skip
    histograms = ProfileHistograms(spec(outputs=[item]), signature, LABELS)
    histograms.observe([], [np.array([0, 1, 1, 7], dtype=np.int64)])
    assert values(histograms.text(), "model_output_class_total") == [1, 2, 1]


def test_string_classes_are_counted():
    signature = Signature((), (TensorSpec("label", BYTES, (-1,)),))
    item = {"name": "label", "tensor": "label", "kind": "categorical", "categories": ["yes", "no"]}
    histograms = ProfileHistograms(spec(outputs=[item]), signature, LABELS)
    histograms.observe([], [np.array(["no", "no", "yes"], dtype=object)])
    assert values(histograms.text(), "model_output_class_total") == [1, 2, 0]


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        (numeric("f", "X", 0, [2, 1]), "inputs[0].edges must ascend"),
        (numeric("f", "X", 0, []), "inputs[0].edges must be a list of finite numbers"),
        (numeric("f", "X", 0, [float("nan")]), "inputs[0].edges must be a list of finite numbers"),
        (numeric("f", "X", -1, [1]), "inputs[0].column must be null or an integer from 0"),
        (numeric("f", "X", 1, [1]), "'f' is column 1 of 'X', which has 1"),
        (numeric("f", "Z", 0, [1]), "the model has no tensor 'Z' (it has: X)"),
        ({"name": "f", "tensor": "X", "kind": "odd"}, "inputs[0].kind must be numeric or categorical"),
        ({"tensor": "X"}, "inputs[0] needs a name and a tensor"),
        ("f", "inputs[0] must be an object"),
    ],
)
def test_a_bad_document_is_refused_with_the_path_of_the_bad_entry(item, complaint):
    signature = Signature((TensorSpec("X", FP32, (-1, 1)),), ())
    with pytest.raises(LoadError) as caught:
        ProfileHistograms(spec([item]), signature, LABELS)
    assert complaint in str(caught.value)


def test_a_share_of_the_runs_is_counted_and_said():
    signature = Signature((TensorSpec("X", FP32, (-1, 1)),), ())
    histograms = ProfileHistograms(spec([numeric("f", "X", 0, [0.5])]), signature, LABELS, 0.25)
    for _ in range(100):
        histograms.observe([np.array([[1.0]], dtype=np.float32)], [])
    text = histograms.text()
    assert values(text, "model_input_value_count") == [25]
    assert values(text, "model_histogram_rate{") == [0.25]
    assert "model_histogram_rate" not in one_input([0.5]).text()


def test_wide_tensors_keep_the_first_columns_of_the_document():
    items = [numeric(f"f{column}", "X", column, [0.5]) for column in (7, 2, 5)]
    kept = spec(items, [numeric("y", "Y", 0, [0.5])]).first(2)
    assert [item.name for item in kept.inputs] == ["f7", "f2"]
    assert [item.name for item in kept.outputs] == ["y"]
    assert spec(items).first(0) == spec(items)


def test_a_run_that_found_nothing_counts_nothing():
    signature = Signature((), (TensorSpec("labels", INT64, (-1,)),))
    histograms = ProfileHistograms(spec((), [numeric("label", "labels", None, [1.0])]), signature, LABELS)
    histograms.observe([], [np.empty(0, dtype=np.int64)])
    histograms.observe([], [np.array([1, 2])])
    assert values(histograms.text(), "model_output_value_bucket") == [1, 2]


def test_columns_of_an_output_whose_shape_the_model_does_not_tell_are_counted():
    signature = Signature((), (TensorSpec("p", FP32, ()),))
    histograms = ProfileHistograms(spec((), [numeric("p1", "p", 1, [0.5])]), signature, LABELS)
    histograms.observe([], [np.array([[0.8, 0.2], [0.3, 0.7]], dtype=np.float32)])
    assert values(histograms.text(), "model_output_value_bucket") == [1, 2]
