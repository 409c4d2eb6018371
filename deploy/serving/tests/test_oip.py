"""The Open Inference Protocol: JSON, binary tensors, all types, requested outputs, errors."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from deploy.serving.datatypes import BY_OIP, TYPES, from_bfloat16, to_bfloat16
from deploy.serving.errors import Malformed, Unprocessable
from deploy.serving.oip import binary
from deploy.serving.oip.request import InferReader
from deploy.serving.oip.response import InferWriter, model_metadata
from deploy.serving.signature import Signature, TensorSpec

FP32, INT64, BYTES = BY_OIP["FP32"], BY_OIP["INT64"], BY_OIP["BYTES"]
TWO = Signature(
    (TensorSpec("a", FP32, (-1, 2), "N"), TensorSpec("b", INT64, (-1,), "N")),
    (TensorSpec("y", FP32, (-1, 2)), TensorSpec("z", BYTES, (-1,))),
)


def document(**changes):
    return {
        "inputs": [
            {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]},
            {"name": "b", "shape": [2], "datatype": "INT64", "data": [5, 6]},
        ],
        **changes,
    }


def parse(request, tail=None, signature=TWO, **options):
    head = json.dumps(request).encode()
    length = None if tail is None else len(head)
    return InferReader(signature, **options).parse(head + (tail or b""), length)


def refusal(request, tail=None, signature=TWO):
    with pytest.raises((Unprocessable, Malformed)) as caught:
        parse(request, tail, signature)
    return caught.value.field, caught.value.message


def changed(index, **changes):
    request = document()
    request["inputs"][index].update(changes)
    return request


def test_data_may_be_flat_or_nested():
    flat, nested = parse(document()), parse(changed(0, data=[[1, 2], [3, 4]]))
    for request in (flat, nested):
        assert request.inputs[0].tolist() == [[1, 2], [3, 4]]
        assert request.inputs[1].tolist() == [5, 6]
        assert request.rows == 2


def test_inputs_may_come_in_any_order():
    request = document()
    request["inputs"].reverse()
    assert parse(request).inputs[1].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        ({}, "inputs", "is missing"),
        ({"inputs": 1}, "inputs", "must be a list"),
        ({"inputs": [1]}, "inputs[0]", "must be an object"),
        (document(bogus=1), "bogus", "is not a field here"),
        (document(id=1), "id", "must be a string"),
        (document(parameters=1), "parameters", "must be an object"),
        (document(parameters={"binary_data_output": 1}), "parameters.binary_data_output", "true or false"),
        (changed(0, name="c"), "inputs[0].name", "one of the model's inputs: a, b"),
        (changed(1, name="a", shape=[2, 2], datatype="FP32", data=[1, 2, 3, 4]), "inputs[1].name", "twice"),
        ({"inputs": document()["inputs"][:1]}, "inputs", "'b' is missing"),
        (changed(0, shape=None), "inputs[0].shape", "is missing"),
        (changed(0, shape=[2, -2]), "inputs[0].shape[1]", "integer from 0"),
        (changed(0, shape=[2, 3]), "inputs[0].shape", "the model takes [?, 2]"),
        (changed(0, shape=[4]), "inputs[0].shape", "the model takes [?, 2]"),
        (changed(0, shape=[0, 2], data=[]), "inputs[0].shape", "is empty"),
        (changed(0, datatype="FP64"), "inputs[0].datatype", "the model takes FP32"),
        (changed(0, datatype="FLOAT"), "inputs[0].datatype", "is not a type"),
        (changed(0, data=[1, 2, 3]), "inputs[0].data", "has 3 values"),
        (changed(0, data=[[1, 2, 3, 4]]), "inputs[0].data", "its shape says [2, 2]"),
        (changed(0, data=[1, 2, None, 4]), "inputs[0].data[2]", "must be a number, not null"),
        (changed(0, data=[[1, 2], [3, float("nan")]]), "inputs[0].data[1][1]", "is NaN"),
        (changed(0, data=None), "inputs[0].data", "is missing"),
        (changed(1, data=[1, 2.5]), "inputs[1].data[1]", "must be an integer"),
        (changed(1, shape=[3], data=[1, 2, 3]), "inputs", "different numbers of rows: [2, 3]"),
        (document(outputs=1), "outputs", "must be a list"),
        (document(outputs=[{"name": "q"}]), "outputs[0].name", "one of the model's outputs: y, z"),
        (document(outputs=[{"name": "y", "parameters": {"classification": 3}}]),
         "outputs[0].parameters.classification", "is not supported"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_by_its_path(request_, field, message):
    at, text = refusal(request_)
    assert at == field
    assert message in text


def binary_input(name, datatype, array, size=None):
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": datatype.oip,
        "parameters": {"binary_data_size": len(binary.encode(array, datatype)) if size is None else size},
    }


def test_binary_and_json_tensors_may_be_mixed():
    array = np.array([[1, 2], [3, 4]], dtype=np.float32)
    request = document()
    request["inputs"][0] = binary_input("a", FP32, array)
    assert parse(request, array.tobytes()).inputs[0].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("size", "tail", "message"),
    [
        (16, b"\0" * 8, "says 16 bytes, 8 are left"),
        (8, b"\0" * 8, "has 8 bytes of data, its shape and FP32 need 16"),
        (16, b"\0" * 20, "4 bytes behind the last binary tensor"),
        (-1, b"", "must be a number of bytes"),
        ("16", b"\0" * 16, "must be a number of bytes"),
    ],
)
def test_binary_lengths_must_agree(size, tail, message):
    request = document()
    request["inputs"][0] = binary_input("a", FP32, np.zeros((2, 2), dtype=np.float32), size)
    assert message in refusal(request, tail)[1]


def test_a_header_length_beyond_the_body_is_refused():
    with pytest.raises(Malformed):
        InferReader(TWO).parse(b"{}", 3)


def test_a_head_that_was_read_before_brings_other_tensors_and_other_refusals():
    reader = InferReader(Signature((TensorSpec("a", FP32, (-1, 2)),), ()))
    head = json.dumps({"inputs": [binary_input("a", FP32, np.zeros((1, 2), dtype=np.float32), 8)]}).encode()
    for row in ([1.0, 2.0], [3.0, 4.0]):
        tail = np.array(row, dtype=np.float32).tobytes()
        assert reader.parse(head + tail, len(head)).inputs[0].tolist() == [row]
    with pytest.raises(Unprocessable, match="is NaN"):
        reader.parse(head + np.array([1, np.nan], dtype=np.float32).tobytes(), len(head))
    with pytest.raises(Unprocessable, match="are left in the body"):
        reader.parse(head + bytes(4), len(head))
    with pytest.raises(Malformed, match="belong to no input"):
        reader.parse(head + bytes(12), len(head))


def test_an_output_that_is_requested_twice_is_refused():
    assert refusal(document(outputs=[{"name": "y"}, {"name": "y"}])) == ("outputs[1].name", "is there twice")


def test_a_number_that_rounding_to_bfloat16_makes_infinite_is_refused():
    signature = Signature((TensorSpec("a", BY_OIP["BF16"], (-1,)),), ())
    request = {"inputs": [{"name": "a", "shape": [2], "datatype": "BF16", "data": [1, 3.4e38]}]}
    assert refusal(request, signature=signature)[0] == "inputs[0].data[1]"


@pytest.mark.parametrize("shape", [[2**40, 2**40, 0], [2**62, 0], [2**31, 1]])
def test_sizes_that_no_tensor_can_have_are_refused_though_the_tensor_is_empty(shape):
    signature = Signature((TensorSpec("a", FP32, (-1,) * len(shape)),), ())
    request = {"inputs": [{"name": "a", "shape": shape, "datatype": "FP32", "data": []}]}
    assert refusal(request, signature=signature)[0] == "inputs[0].shape"


def test_nan_in_a_binary_tensor_is_named_by_its_position():
    array = np.array([[1, 2], [np.nan, 4]], dtype=np.float32)
    request = document()
    request["inputs"][0] = binary_input("a", FP32, array)
    assert refusal(request, array.tobytes()) == ("inputs[0].data[1][0]", "is NaN")


def sample(datatype):
    if datatype.oip == "BYTES":
        return np.array(["", "ä€", "x" * 300, "\0"], dtype=object)
    if datatype.oip == "BF16":
        return to_bfloat16(np.array([0.5, -2, 1e30, 3], dtype=np.float32))
    if datatype.oip == "BOOL":
        return np.array([True, False, False, True])
    if datatype.is_float:
        return np.array([0.5, -2, 1e4, 0.1], dtype=datatype.dtype)
    limits = np.iinfo(datatype.dtype)
    return np.array([limits.min, limits.max, 0, 1], dtype=datatype.dtype)


@pytest.mark.parametrize("datatype", TYPES, ids=lambda datatype: datatype.oip)
def test_every_type_survives_binary_and_json_unchanged(datatype):
    array = sample(datatype)
    signature = Signature((TensorSpec("X", datatype, (-1,)),), (TensorSpec("X", datatype, (-1,)),))
    content = binary.encode(array, datatype)
    request = {"inputs": [binary_input("X", datatype, array)]}
    arrived = parse(request, content, signature).inputs[0]
    assert arrived.dtype == array.dtype
    assert arrived.tolist() == array.tolist()

    body, head = InferWriter("m", "1", signature).render(None, ((0, False),), [array])
    assert head is None
    data = json.loads(body)["outputs"][0]["data"]
    request = {"inputs": [{"name": "X", "shape": [4], "datatype": datatype.oip, "data": data}]}
    assert parse(request, None, signature).inputs[0].tolist() == array.tolist()


@pytest.mark.parametrize("content", [b"\x01", struct.pack("<I", 9) + b"abc", struct.pack("<I", 1) + b"\xff"])
def test_broken_strings_are_refused(content):
    with pytest.raises(Unprocessable):
        binary.decode(memoryview(content), BYTES, 1, "inputs[0]")


def test_only_requested_outputs_are_answered_in_their_order_and_form():
    request = parse(
        document(id="7", outputs=[{"name": "z"}, {"name": "y", "parameters": {"binary_data": True}}])
    )
    y, z = np.array([[1, 2], [3, 4]], dtype=np.float32), np.array(["p", "q"], dtype=object)
    body, length = InferWriter("m", "1", TWO).render(request.id, request.outputs, [y, z])
    head = json.loads(body[:length])
    assert head["id"] == "7"
    assert [item["name"] for item in head["outputs"]] == ["z", "y"]
    assert head["outputs"][0]["data"] == ["p", "q"]
    assert head["outputs"][1]["parameters"] == {"binary_data_size": 16}
    assert body[length:] == y.tobytes()


def test_all_outputs_in_binary_on_request():
    request = parse(document(parameters={"binary_data_output": True}))
    assert request.outputs == ((0, True), (1, True))


def test_bfloat16_rounds_to_nearest_even_and_keeps_nan():
    values = np.array([1.0, 1.00390625, 1.01171875, np.nan], dtype=np.float32)
    assert from_bfloat16(to_bfloat16(values))[:3].tolist() == [1.0, 1.0, 1.015625]
    assert np.isnan(from_bfloat16(to_bfloat16(values))[3])


def test_metadata_names_types_and_free_dimensions():
    assert model_metadata("m", ["3"], TWO) == {
        "name": "m",
        "versions": ["3"],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "b", "datatype": "INT64", "shape": [-1]},
        ],
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "z", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def test_rows_are_those_of_the_first_input_that_may_have_any_number():
    signature = Signature((TensorSpec("k", FP32, ()), TensorSpec("X", FP32, (-1, 1), "N")), TWO.outputs)
    inputs = [
        {"name": "k", "shape": [], "datatype": "FP32", "data": [1]},
        {"name": "X", "shape": [3, 1], "datatype": "FP32", "data": [1, 2, 3]},
    ]
    assert parse({"inputs": inputs}, signature=signature).rows == 3
