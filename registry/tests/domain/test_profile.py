import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from registry.domain.profile import (
    Column,
    bin_counts,
    build_item,
    build_profile,
    decile_edges,
    histogram_spec,
)

FINITE = st.floats(-1e6, 1e6, width=32)


def numeric(values, name="x", dtype=np.float32):
    return build_item(Column(name, "X", 0, np.array(values, dtype=dtype)))


def test_deciles_of_a_spread_column_give_ten_even_bins():
    item = numeric(np.arange(1000))
    assert len(item["edges"]) == 9
    assert item["counts"] == [100] * 10
    assert (item["min"], item["max"]) == (0, 999)


def test_a_value_on_an_edge_counts_below_it_as_in_prometheus():
    assert bin_counts(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), [1.0, 2.0]) == [2, 2, 1]


def test_ties_fold_into_one_edge():
    item = numeric([0] * 70 + list(range(1, 31)))
    assert item["edges"] == sorted(set(item["edges"]))
    assert sum(item["counts"]) == 100


def test_a_constant_column_leaves_room_on_both_sides():
    item = numeric([0.1] * 10)
    assert item["counts"] == [0, 10, 0]
    constant = float(np.float32(0.1))
    assert item["edges"][1] == constant > item["edges"][0]
    assert bin_counts(np.array([0.0999], dtype=np.float32), item["edges"]) == [1, 0, 0]
    assert bin_counts(np.array([0.1001], dtype=np.float32), item["edges"]) == [0, 0, 1]


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=FINITE))
def test_edges_survive_json_and_compare_alike_in_float32_and_float64(values):
    edges = json.loads(json.dumps(decile_edges(values)))
    wide = bin_counts(values.astype(np.float64), edges)
    narrow = np.bincount(
        np.searchsorted(np.array(edges, dtype=np.float32), values, side="left"), minlength=len(edges) + 1
    )
    assert wide == narrow.tolist()
    assert sum(wide) == len(values)


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6)))
def test_a_baseline_counts_every_value_once(values):
    item = build_item(Column("x", "X", 0, values))
    assert sum(item["counts"]) == len(values)
    assert len(item["counts"]) == len(item["edges"]) + 1
    assert item["edges"] == sorted(set(item["edges"]))


def test_missing_values_are_left_out_and_a_column_of_nothing_else_too():
    assert sum(numeric([1.0, np.nan, np.inf, 2.0])["counts"]) == 2
    assert numeric([np.nan, np.nan]) is None


def test_labels_and_texts_become_categories():
    labels = build_item(Column("label", "label", None, np.array([1, 0, 1]), categorical=True))
    assert (labels["kind"], labels["categories"], labels["counts"]) == ("categorical", ["0", "1"], [1, 2])
    towns = build_item(Column("town", "town", 0, np.array(["b", "a", "b"], dtype=object)))
    assert (towns["categories"], towns["counts"]) == (["a", "b"], [1, 2])


def test_a_column_of_free_text_has_no_baseline():
    column = Column("id", "id", 0, np.array([f"user-{i}" for i in range(60)], dtype=object))
    assert build_item(column) is None


def test_a_profile_is_json_with_schema_and_rows():
    column = Column("y", "y", 0, np.arange(5, dtype=np.float32))
    profile = build_profile([], [column], rows=5)
    assert (profile["schema"], profile["rows"]) == (1, 5)
    assert json.loads(json.dumps(profile)) == profile


def profile_with(edges, name="y", tensor="y"):
    counts = [1] * (len(edges) + 1)
    item = {"name": name, "tensor": tensor, "column": 0, "kind": "numeric", "edges": edges, "counts": counts}
    return {"schema": 1, "rows": 9, "inputs": [], "outputs": [item]}


def test_the_histogram_of_two_versions_has_the_edges_of_both_and_reads_its_own_tensor():
    spec = histogram_spec(profile_with([1, 3], tensor="mine"), profile_with([2, 3], tensor="theirs"))
    assert spec["outputs"] == [
        {"name": "y", "tensor": "mine", "column": 0, "kind": "numeric", "edges": [1, 2, 3]}
    ]


def test_names_only_a_rival_has_are_ignored_and_rivals_without_a_profile_too():
    spec = histogram_spec(profile_with([1]), profile_with([2], name="other"), None)
    assert [item["edges"] for item in spec["outputs"]] == [[1]]


def test_without_an_own_profile_nothing_is_exposed():
    assert histogram_spec(None, profile_with([1])) == {"inputs": [], "outputs": []}


def test_the_same_name_of_another_kind_is_another_thing():
    rival = profile_with([2])
    rival["outputs"][0] = {
        "name": "y",
        "kind": "categorical",
        "categories": ["a"],
        "tensor": "y",
        "column": None,
    }
    assert histogram_spec(profile_with([1]), rival)["outputs"][0]["edges"] == [1]


def test_categories_are_united():
    def labels(*categories):
        item = {"name": "l", "tensor": "l", "column": None, "kind": "categorical"}
        return {"inputs": [], "outputs": [item | {"categories": list(categories), "counts": [1]}]}

    assert histogram_spec(labels("a"), labels("b", "a"))["outputs"][0]["categories"] == ["a", "b"]


@pytest.mark.parametrize("rivals", [0, 1, 2])
def test_uniting_with_oneself_changes_nothing(rivals):
    own = profile_with([1, 2])
    assert histogram_spec(own, *[own] * rivals) == histogram_spec(own)
