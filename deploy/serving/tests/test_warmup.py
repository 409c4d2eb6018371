"""Loading and warm-up on real ONNX Runtime sessions."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from deploy.serving import warmup
from deploy.serving.artifact import Artifact, read_artifact
from deploy.serving.datatypes import BY_OIP, TYPES
from deploy.serving.errors import LoadError, ModelFailed
from deploy.serving.loading import runs_inline
from deploy.serving.model import _reason, load_model
from deploy.serving.signature import Signature, TensorSpec
from deploy.serving.warmup import warm_up

from . import models


def loaded(content, histograms=None):
    return load_model(Artifact(content, "sha256:test"), 1, histograms)


def test_a_model_of_independent_rows_may_be_batched():
    profile = warm_up(loaded(models.linear()), 4, 8)
    assert profile.mergeable
    assert 0 < profile.seconds_alone < 1
    assert 0 < profile.seconds_full < 1


def test_a_model_that_looks_across_its_rows_is_found_out():
    assert not warm_up(loaded(models.centred()), 2, 8).mergeable


@pytest.mark.parametrize("content", [models.heavy(8, 1), models.identity(TensorProto.FLOAT, [4, 2])])
def test_a_fixed_batch_axis_is_not_batched(content):
    profile = warm_up(loaded(content), 2, 8)
    assert not profile.mergeable
    assert profile.note == ""


def test_rows_that_random_values_do_not_fit_are_made_of_zeros():
    picky = models.model(
        [
            models.helper.make_node("Mul", ["X", "big"], ["scaled"]),
            models.helper.make_node("Cast", ["scaled"], ["index"], to=models.INT64),
            models.helper.make_node("Gather", ["table", "index"], ["Y"]),
        ],
        [models.tensor("X", models.FLOAT, ["N", 1])],
        [models.tensor("Y", models.FLOAT, ["N", 1])],
        {"big": np.array([1e6], dtype=np.float32), "table": np.array([1, 2], dtype=np.float32)},
    )
    profile = warm_up(loaded(picky), 4, 8)
    assert profile.note == ""
    assert profile.mergeable
    assert profile.seconds_full < 1


class Slow:
    """Takes `base` seconds per run and `each` per row, by a clock of its own."""

    def __init__(self, monkeypatch, base, each):
        self.signature = Signature((TensorSpec("X", BY_OIP["FP32"], (-1, 1)),), ())
        self.base, self.each, self.now, self.sizes = base, each, 0.0, []
        monkeypatch.setattr(warmup.time, "perf_counter", lambda: self.now)

    def run(self, inputs):
        self.sizes.append(len(inputs[0]))
        self.now += self.base + self.each * len(inputs[0])
        return [inputs[0]]


def test_a_slow_model_is_warmed_up_within_the_budget(monkeypatch):
    model = Slow(monkeypatch, 0, 0.1)
    warm_up(model, 1000, 32)
    assert model.now < 2 * warmup.BUDGET_SECONDS
    assert max(model.sizes) == 5


def test_a_slow_model_that_gains_nothing_by_batches_is_not_batched(monkeypatch):
    profile = warm_up(Slow(monkeypatch, 0, 0.05), 8, 32)
    assert (profile.mergeable, profile.note) == (False, "batches gain nothing")


def test_a_slow_model_that_gains_by_batches_is_batched(monkeypatch):
    assert warm_up(Slow(monkeypatch, 0.05, 0.001), 8, 32).mergeable


def test_a_fast_model_is_batched_whatever_its_runs_cost(monkeypatch):
    assert warm_up(Slow(monkeypatch, 0, 0.0001), 8, 32).mergeable


@pytest.mark.parametrize(
    ("seconds", "mergeable", "cpus", "inline"),
    [(0.0009, True, 4, True), (0.002, True, 4, False), (0.002, True, 1, True), (0.006, True, 1, False),
     (math.inf, True, 1, False)],
)  # fmt: skip
def test_short_runs_happen_inside_the_loop_and_longer_ones_too_where_a_thread_has_no_cpu(
    seconds, mergeable, cpus, inline
):
    assert runs_inline("auto", warmup.Profile(mergeable, seconds / 2, seconds), cpus) is inline
    assert runs_inline("thread", warmup.Profile(mergeable, 0.0, 0.0), cpus) is False


def test_a_model_that_is_not_batched_is_judged_by_a_single_row():
    profile = warmup.Profile(False, 0.0008, 0.03)
    assert runs_inline("auto", profile, 4)
    assert not runs_inline("auto", warmup.Profile(True, 0.0008, 0.03), 4)


@pytest.mark.parametrize("kind", models.KINDS.values())
def test_one_value_per_row_is_a_row_whatever_its_type(kind):
    profile = warm_up(loaded(models.identity(kind, ["N"])), 2, 8)
    assert (profile.mergeable, profile.note) == (True, "")


def test_a_model_that_computes_each_row_but_not_two_together_has_no_batch_axis():
    content = models.model(
        [models.helper.make_node("MatMul", ["A", "X"], ["Y"])],
        [models.tensor("A", models.FLOAT, ["N", "N"]), models.tensor("X", models.FLOAT, ["N", 2])],
        [models.tensor("Y", models.FLOAT, ["N", 2])],
    )
    profile = warm_up(loaded(content), 4, 8)
    assert (profile.mergeable, profile.note) == (False, "its rows depend on each other")


def test_a_model_that_refuses_made_up_rows_is_served_all_the_same():
    needs_many = models.model(
        [models.helper.make_node("Gather", ["X", "index"], ["Y"], axis=0)],
        [models.tensor("X", models.FLOAT, ["N"])],
        [models.tensor("Y", models.FLOAT, [1])],
        {"index": np.array([50], dtype=np.int64)},
    )
    profile = warm_up(loaded(needs_many), 4, 8)
    assert "warm-up ended early" in profile.note


def test_the_runtime_s_refusal_is_one_line_without_its_prefix():
    model = loaded(models.fragile())
    with pytest.raises(ModelFailed) as caught:
        model.run([np.array([[99]], dtype=np.float32)])
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith(
        "the model failed on this input: Gather: indices element out of data bounds"
    )


def test_the_runtime_s_source_files_are_no_business_of_the_caller():
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running GatherElements node. "
        "Name:'g' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/gather_elements.cc:150 "
        "void onnxruntime::core_impl(const Tensor*, Tensor*, int64_t, concurrency::ThreadPool*) "
        "[with Tin = long int; int64_t = long int] GatherElements op: Out of range value in index tensor\n"
    )
    assert _reason(RuntimeError(text)) == (
        "GatherElements: GatherElements op: Out of range value in index tensor"
    )
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/onnxruntime/core/"
        "providers/cpu/text/string_normalizer.cc:235 onnxruntime::StringNormalizer::Locale::Locale(const "
        "std::string&)::<lambda()> Failed to construct locale with name:en_US.UTF-8\n"
    )
    assert _reason(RuntimeError(text)) == (
        "Exception during initialization: Failed to construct locale with name:en_US.UTF-8"
    )


@pytest.mark.parametrize("datatype", TYPES, ids=lambda datatype: datatype.oip)
def test_every_type_runs(datatype):
    kind = {"float": "FLOAT", "double": "DOUBLE"}.get(datatype.onnx, datatype.onnx.upper())
    model = loaded(models.identity(getattr(TensorProto, kind)))
    assert model.signature.inputs[0].datatype is datatype
    if datatype.oip == "BYTES":
        rows = np.array([["a", "b"], ["c", "ä"]], dtype=object)
    else:
        rows = np.array([[0, 1], [1, 0]]).astype(datatype.dtype)
    (answer,) = model.run([rows])
    assert answer.dtype == rows.dtype
    assert answer.tolist() == rows.tolist()
    assert warm_up(model, 2, 4).mergeable


@pytest.mark.parametrize(
    ("first", "second", "one"), [("N", "N", True), (None, None, True), ("N", None, False)]
)
def test_axes_that_are_not_known_to_be_the_same_are_no_batch_axis(first, second, one):
    content = models.model(
        [models.helper.make_node("Add", ["A", "B"], ["Y"])],
        [models.tensor("A", models.FLOAT, [first, 1]), models.tensor("B", models.FLOAT, [second, 1])],
        [models.tensor("Y", models.FLOAT, ["M", 1])],
    )
    assert loaded(content).signature.batchable is one


def test_feature_names_come_from_the_model_s_metadata():
    model = loaded(models.linear(2, metadata={"feature_names": '["age", "bmi"]'}))
    assert model.signature.features == {"age": (0, 0), "bmi": (0, 1)}


def test_feature_names_come_from_the_baseline_if_it_names_every_column():
    def items(*names):
        return {"inputs": [{"name": name, "tensor": "X", "column": at} for at, name in enumerate(names)]}

    assert loaded(models.linear(2), items("age", "bmi")).signature.features == {"age": (0, 0), "bmi": (0, 1)}
    assert loaded(models.linear(2), items("age")).signature.features == {}
    beside_an_image = models.model(
        [
            models.helper.make_node("Identity", ["X"], ["Y"]),
            models.helper.make_node("Identity", ["I"], ["J"]),
        ],
        [models.tensor("X", models.FLOAT, ["N", 2]), models.tensor("I", models.FLOAT, ["N", 3, 4])],
        [models.tensor("Y", models.FLOAT, ["N", 2]), models.tensor("J", models.FLOAT, ["N", 3, 4])],
    )
    assert loaded(beside_an_image, items("age", "bmi")).signature.features == {}


@pytest.mark.parametrize("content", [b"not onnx", models.linear()[:60]])
def test_a_broken_artifact_is_refused_in_one_line(content):
    with pytest.raises(LoadError) as caught:
        loaded(content)
    assert "\n" not in str(caught.value)


def maps(labels, shape=("N", 3)):
    """A model whose output `Y` is a list of maps of what comes in."""
    node = models.helper.make_node("ZipMap", ["X"], ["Y"], domain="ai.onnx.ml", **labels)
    made = models.helper.make_map_type_proto(
        TensorProto.INT64 if "classlabels_int64s" in labels else TensorProto.STRING,
        models.helper.make_tensor_type_proto(TensorProto.FLOAT, None),
    )
    sequence = models.helper.make_value_info("Y", models.helper.make_sequence_type_proto(made))
    return models.model([node], [models.tensor("X", models.FLOAT, shape)], [sequence])


@pytest.mark.parametrize(
    ("labels", "told"),
    [({"classlabels_int64s": [7, 3, 5]}, "7, 3, 5"), ({"classlabels_strings": ["ü", "a", "c"]}, "ü, a, c")],
)
def test_maps_of_probabilities_are_served_as_the_tensor_they_are_made_of(labels, told):
    model = loaded(maps(labels))
    (output,) = model.signature.outputs
    assert (output.name, output.datatype.oip, output.shape) == ("Y", "FP32", (-1, 3))
    assert model.note == f"the columns of Y are the classes {told}"
    rows = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], dtype=np.float32)
    assert model.run([rows])[0].tobytes() == rows.tobytes()
    assert warm_up(model, 2, 4).mergeable


def test_maps_are_served_though_the_model_uses_no_operator_of_onnx_itself():
    proto = onnx.load_from_string(maps({"classlabels_int64s": [1, 0]}, (2,)))
    del proto.opset_import[0]
    (answer,) = loaded(proto.SerializeToString()).run([np.array([0.25, 0.75], dtype=np.float32)])
    assert answer.tolist() == [0.25, 0.75]


def test_an_output_that_is_no_tensor_is_left_out_and_a_model_of_only_those_is_refused():
    sequence = models.helper.make_value_info(
        "S",
        models.helper.make_sequence_type_proto(models.helper.make_tensor_type_proto(TensorProto.FLOAT, None)),
    )
    nodes = [models.helper.make_node("SequenceConstruct", ["X"], ["S"])]
    inputs = [models.tensor("X", models.FLOAT, ["N", 2])]
    with pytest.raises(LoadError, match=r"'S' has the type seq\(tensor\(float\)\), which cannot be served"):
        loaded(models.model(nodes, inputs, [sequence]))
    nodes.append(models.helper.make_node("Identity", ["X"], ["Y"]))
    model = loaded(models.model(nodes, inputs, [sequence, models.tensor("Y", models.FLOAT, ["N", 2])]))
    assert [spec.name for spec in model.signature.outputs] == ["Y"]
    assert model.note == "S is left out: seq(tensor(float))"
    assert model.run([np.ones((1, 2), dtype=np.float32)])[0].tolist() == [[1, 1]]


def test_the_digest_is_checked_against_the_bytes_that_are_loaded(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"abc")
    digest = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert read_artifact(path, digest) == Artifact(b"abc", digest)
    with pytest.raises(LoadError, match=f"has the digest {digest}, expected sha256:00"):
        read_artifact(path, "sha256:" + "0" * 64)
    with pytest.raises(LoadError, match="is not a digest"):
        read_artifact(path, "sha256:ABC")
    path.write_bytes(b"")
    with pytest.raises(LoadError, match="is empty"):
        read_artifact(path)
    with pytest.raises(LoadError, match="cannot read the artifact"):
        read_artifact(tmp_path / "absent")
