"""The plain protocol: what it takes, and what it says about what it does not take."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deploy.serving.datatypes import BY_OIP
from deploy.serving.errors import Malformed, Unprocessable
from deploy.serving.predict import PredictCodec
from deploy.serving.signature import Signature, TensorSpec

FP32, INT64, UINT8 = BY_OIP["FP32"], BY_OIP["INT64"], BY_OIP["UINT8"]
BOOL, BYTES = BY_OIP["BOOL"], BY_OIP["BYTES"]

TABLE = Signature(
    (TensorSpec("X", FP32, (-1, 3)),),
    (TensorSpec("y", FP32, (-1, 1)),),
    {"age": (0, 0), "bmi": (0, 1), "bp": (0, 2)},
)
COLUMNS = Signature(
    (TensorSpec("amount", FP32, (-1, 1)), TensorSpec("colour", BYTES, (-1, 1))),
    (TensorSpec("label", BYTES, (-1, 1)),),
)
IMAGE = Signature((TensorSpec("image", FP32, (-1, 2, 2)),), (TensorSpec("y", FP32, (-1, 2)),))


def codec(signature=TABLE, allow_nan=False):
    return PredictCodec(signature, allow_nan=allow_nan, model="m", version="1")


def parse(features, signature=TABLE, **options):
    return codec(signature, **options).parse(json.dumps({"features": features}).encode())


def refusal(features, signature=TABLE, **options):
    with pytest.raises(Unprocessable) as caught:
        parse(features, signature, **options)
    return caught.value.field, caught.value.message


def test_one_row_is_a_list_of_its_values():
    request = parse([1, 2.5, 3])
    assert request.single
    assert request.inputs[0].dtype == np.float32
    assert request.inputs[0].tolist() == [[1, 2.5, 3]]


def test_a_batch_is_a_list_of_rows():
    request = parse([[1, 2, 3], [4, 5, 6]])
    assert (request.single, request.rows) == (False, 2)
    assert request.inputs[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_named_features_may_come_in_any_order():
    assert parse({"bp": 3, "age": 1, "bmi": 2}).inputs[0].tolist() == [[1, 2, 3]]


def test_a_batch_of_named_rows():
    request = parse([{"bp": 3, "age": 1, "bmi": 2}, {"age": 4, "bmi": 5, "bp": 6}])
    assert request.inputs[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_tensor_may_be_given_whole_under_its_own_name():
    assert parse({"X": [1, 2, 3]}).inputs[0].tolist() == [[1, 2, 3]]


def test_inputs_of_one_column_each_take_plain_values():
    request = parse([{"amount": 1, "colour": "red"}, {"amount": 2, "colour": "blue"}], COLUMNS)
    assert request.inputs[0].tolist() == [[1], [2]]
    assert request.inputs[1].tolist() == [["red"], ["blue"]]
    assert parse([1, "red"], COLUMNS).inputs[1].tolist() == [["red"]]


def test_a_row_may_have_several_dimensions():
    assert parse([[1, 2], [3, 4]], IMAGE).inputs[0].shape == (1, 2, 2)
    assert parse([[[1, 2], [3, 4]]] * 3, IMAGE).inputs[0].shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("features", "field", "message"),
    [
        ([1, None, 3], "features[1]", "must be a number, not null"),
        ([1, "2", 3], "features[1]", "must be a number, not a string"),
        ([1, True, 3], "features[1]", "must be a number, not a boolean"),
        ([1, {}, 3], "features[1]", "must be a number, not an object"),
        ([1, [2], 3], "features[1]", "must be a number, not a list"),
        ([1, float("nan"), 3], "features[1]", "is NaN"),
        ([1, 2, float("-inf")], "features[2]", "is infinite"),
        ([1, 2, 1e39], "features[2]", "too large"),
        ([1, 2], "features", "has 2 values; one row has the shape [3]"),
        ([[1, 2, 3], [4, 5]], "features[1]", "has 2 values, its neighbours have 3"),
        ([[1, 2, 3], 4], "features[1]", "must be a list"),
        ([[1, 2, 3], [4, 5, "6"]], "features[1][2]", "must be a number"),
        ([[1, 2, 3, 4]], "features", "has the shape [1, 4], the model takes [?, 3]"),
        ([[[1, 2, 3]]], "features", "has the shape [1, 1, 3]"),
        ([], "features", "is empty"),
        ([[], []], "features", "is empty"),
        (7, "features", "has the shape []"),
        ("abc", "features", "has the shape []"),
        (None, "features", "has the shape []"),
        ({"age": 1, "bp": 2}, "features.bmi", "is missing"),
        ({"age": 1, "bmi": 1, "bp": 2, "sex": 1}, "features.sex", "is not an input of this model"),
        ({"age": 1, "bmi": "x", "bp": 2}, "features.bmi", "must be a number, not a string"),
        ({"age": 1, "bmi": float("nan"), "bp": 2}, "features.bmi", "is NaN"),
        ([{"age": 1, "bmi": 1, "bp": 2}, {"age": 1, "bmi": None, "bp": 2}], "features[1].bmi", "null"),
        ([{"age": 1, "bmi": 1, "bp": 2}, [1, 2, 3]], "features[1]", "must be an object, not a list"),
        ({"X": [1, None, 3]}, "features.X[1]", "must be a number"),
        ({}, "features.age", "is missing"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(features, field, message):
    at, text = refusal(features)
    assert at == field
    assert message in text


def test_integers_booleans_and_strings_are_not_coerced():
    def one(datatype):
        return Signature((TensorSpec("X", datatype, (-1, 2)),), ())

    assert refusal([1, 2.5], one(INT64)) == ("features[1]", "must be an integer, not a number")
    assert refusal([1, 256], one(UINT8)) == ("features[1]", "must lie in 0 to 255 (UINT8)")
    assert refusal([True, 1], one(BOOL)) == ("features[1]", "must be true or false, not an integer")
    assert refusal(["a", 1], one(BYTES)) == ("features[1]", "must be a string, not an integer")


def test_null_and_nan_pass_when_the_model_takes_missing_values():
    array = parse([1, None, float("nan")], allow_nan=True).inputs[0]
    assert np.isnan(array).tolist() == [[False, True, True]]
    assert refusal([1, "x", 3], allow_nan=True)[0] == "features[1]"


def test_a_fixed_batch_axis_takes_exactly_its_rows():
    fixed = Signature((TensorSpec("X", FP32, (2, 3)),), ())
    assert parse([[1, 2, 3], [4, 5, 6]], fixed).rows == 2
    assert refusal([[1, 2, 3]], fixed)[0] == "features"
    assert "a batch has the shape [2, 3]" in refusal([1, 2, 3], fixed)[1]


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        (b"", Malformed, None),
        (b"{", Malformed, None),
        (b"\xff\xfe", Malformed, None),
        (b'{"features":[NaN', Malformed, None),
        (b"[1,2,3]", Unprocessable, None),
        (b"{}", Unprocessable, "features"),
        (b'{"features":[1,2,3],"extra":1}', Unprocessable, "extra"),
        (b'{"features":[1,2,3],"id":7}', Unprocessable, "id"),
        (b'{"features":' + b"[" * 2000 + b"]" * 2000 + b"}", (Malformed, Unprocessable), None),
    ],
)
def test_a_body_that_is_no_request_is_refused(body, error, field):
    with pytest.raises(error) as caught:
        codec().parse(body)
    if field:
        assert caught.value.field == field


def test_a_single_row_gets_one_answer_and_a_batch_a_list():
    outputs = [np.array([[1.5]], dtype=np.float32)]
    one = json.loads(codec().render(parse([1, 2, 3]), outputs))
    assert one == {"prediction": 1.5, "outputs": {"y": 1.5}, "model": "m", "model_version": "1"}
    many = json.loads(codec().render(parse([[1, 2, 3]]), outputs))
    assert many["predictions"] == [1.5]


def test_labels_of_any_integer_type_and_strings_are_rendered():
    signature = Signature(TABLE.inputs, (TensorSpec("l", INT64, (-1,)), TensorSpec("s", BYTES, (-1,))))
    outputs = [np.array([1], dtype=np.longlong), np.array(["yes"], dtype=object)]
    answer = json.loads(codec(signature).render(parse([1, 2, 3], signature), outputs))
    assert answer["outputs"] == {"l": 1, "s": "yes"}
    assert answer["prediction"] == 1


def test_float32_answers_read_back_bit_for_bit():
    array = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    answer = json.loads(codec().render(parse([[1, 2, 3]] * 50), [array]))
    assert (np.array(answer["predictions"], dtype=np.float32) == array[:, 0]).all()


@pytest.mark.parametrize(
    ("datatype", "value"),
    [(FP32, np.float32(0.1)), (INT64, np.int64(7)), (BOOL, np.bool_(True)), (BYTES, "x")],
)
def test_an_output_without_dimensions_is_a_plain_value(datatype, value):
    signature = Signature(TABLE.inputs, (TensorSpec("s", datatype, ()),))
    array = np.array(value, dtype=datatype.dtype)
    answer = json.loads(codec(signature).render(parse([1, 2, 3], signature), [array]))
    assert answer["prediction"] == (0.1 if datatype is FP32 else value)


def test_a_value_that_all_rows_share_takes_one_row():
    signature = Signature((TensorSpec("X", FP32, (-1, 2)), TensorSpec("k", FP32, ())), TABLE.outputs)
    row = {"X": [1, 2], "k": 3}
    assert [array.shape for array in parse(row, signature).inputs] == [(1, 2), ()]
    field, message = refusal([row, row], signature)
    assert (field, message) == ("features[1].k", "is one value for all rows, so only one row can be sent")
    assert refusal({"X": [1, 2], "k": [3]}, signature) == (
        "features.k",
        "has the shape [1], the model takes []",
    )
