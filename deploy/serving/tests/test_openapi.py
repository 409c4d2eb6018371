"""The OpenAPI document: every path, and schemas that accept what the server accepts."""

from __future__ import annotations

import json

import jsonschema
import pytest

from deploy.serving.admission import Admission
from deploy.serving.config import Options
from deploy.serving.datatypes import BY_OIP
from deploy.serving.errors import ServingError
from deploy.serving.openapi import document
from deploy.serving.predict import PredictCodec
from deploy.serving.service import Service
from deploy.serving.signature import Signature, TensorSpec

FP32, INT64 = BY_OIP["FP32"], BY_OIP["INT64"]
TABLE = Signature(
    (TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("y", FP32, (-1, 1)),), {"age": (0, 0), "bmi": (0, 1)}
)


def schema_of(signature, path="/predict"):
    post = document([("m", "3", signature)])["paths"][path]["post"]
    return post["requestBody"]["content"]["application/json"]["schema"]


def test_every_path_of_the_service_is_described():
    service = Service(Admission(Options(artifact="x", model="m", model_version="3")))
    assert set(document([("m", "3", TABLE)])["paths"]) == service.paths


@pytest.mark.parametrize(
    "features",
    [
        [1, 2.5],
        [[1, 2], [3, 4]],
        {"age": 1, "bmi": 2},
        [{"age": 1, "bmi": 2}],
        [1, 2, 3],
        [1, "2"],
        {"age": 1},
        {"age": 1, "bmi": 2, "x": 3},
        [{"age": 1, "bmi": None}],
        [],
        "x",
    ],
)
def test_the_schema_takes_what_the_server_takes(features):
    request = {"features": features}
    codec = PredictCodec(TABLE, allow_nan=False, model="m", version="3")
    try:
        codec.parse(json.dumps(request).encode())
        accepted = True
    except ServingError:
        accepted = False
    validator = jsonschema.Draft202012Validator(schema_of(TABLE))
    assert validator.is_valid(request) is accepted


def test_the_path_without_a_name_is_left_out_while_its_model_is_not_loaded():
    paths = document([("other", "1", TABLE)], plain=False)["paths"]
    assert "/predict" not in paths
    assert "/predict/other" in paths


def test_keys_are_described_where_they_are_needed():
    open_to_all, closed = document([("m", "3", TABLE)]), document([("m", "3", TABLE)], keys=True)
    assert "security" not in open_to_all["paths"]["/predict"]["post"]
    for path in ("/predict", "/v2/models/m/infer", "/v2/repository/index"):
        assert closed["paths"][path]["post"]["security"] == [{"bearer": []}, {"key": []}]
    assert set(closed["components"]["securitySchemes"]) == {"bearer", "key"}
    assert "security" not in closed["paths"]["/health"]["get"]


def test_infer_names_the_model_s_tensors_and_types():
    schema = schema_of(TABLE, "/v2/models/m/versions/3/infer")
    validator = jsonschema.Draft202012Validator(schema)
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    assert validator.is_valid({"inputs": [tensor], "outputs": [{"name": "y"}]})
    assert not validator.is_valid({"inputs": [{**tensor, "name": "Z"}]})
    assert not validator.is_valid({"inputs": [{**tensor, "datatype": "INT64"}]})
