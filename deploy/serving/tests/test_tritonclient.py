"""Triton's own Python client runs its calls against the server."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as client_module
import tritonclient.utils as utils

from . import models
from .support import running, serving_every_type


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("triton"), models.labelled(), model_version=3) as process:
        yield process


@pytest.fixture
def client(server):
    with client_module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def tensor(name, array, datatype, binary):
    made = client_module.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", "3")
    assert not client.is_model_ready("m", "4")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("m", "3")
    assert metadata["inputs"] == [
        {"name": "amount", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1, 1]},
    ]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_several_inputs_and_outputs_in_every_form(client, binary_in, binary_out, compression):
    amount = np.array([[1.5], [2.5]], dtype=np.float32)
    colour = np.array([["red"], ["größer"]], dtype=object)
    answer = client.infer(
        "m",
        [tensor("amount", amount, "FP32", binary_in), tensor("colour", colour, "BYTES", binary_in)],
        outputs=[
            client_module.InferRequestedOutput("score", binary_data=binary_out),
            client_module.InferRequestedOutput("label", binary_data=binary_out),
        ],
        request_id="r7",
        request_compression_algorithm=compression,
    )
    assert answer.get_response()["id"] == "r7"
    assert answer.as_numpy("score").tolist() == [[3], [5]]
    labels = [item.decode() if isinstance(item, bytes) else item for item in answer.as_numpy("label").ravel()]
    assert labels == ["red", "größer"]


def test_all_outputs_come_without_being_named(client):
    amount, colour = np.ones((1, 1), dtype=np.float32), np.array([["red"]], dtype=object)
    inputs = [tensor("amount", amount, "FP32", True), tensor("colour", colour, "BYTES", True)]
    answer = client.infer("m", inputs, model_version="3")
    assert answer.as_numpy("score").tolist() == [[2]]


def test_an_error_reaches_the_caller_with_its_message(client):
    amount = np.ones((1, 1), dtype=np.float32)
    with pytest.raises(utils.InferenceServerException, match="'colour' is missing"):
        client.infer("m", [tensor("amount", amount, "FP32", True)])


@pytest.fixture(scope="module")
def every_type(tmp_path_factory):
    wave = models.identity(models.FLOAT, [4])
    with serving_every_type(tmp_path_factory.mktemp("types"), {"wave": wave}, max_rows=3) as process:
        yield process


def test_the_limit_on_rows_is_not_one_on_a_model_without_rows(every_type):
    with client_module.InferenceServerClient(f"127.0.0.1:{every_type.port}") as client:
        array = np.arange(4, dtype=np.float32)
        assert client.infer("wave", [tensor("X", array, "FP32", True)]).as_numpy("Y").tolist() == [0, 1, 2, 3]
        array = np.ones((4, 2), dtype=np.float32)
        with pytest.raises(utils.InferenceServerException, match="4 rows are more than the 3"):
            client.infer("FP32", [tensor("X", array, "FP32", True)])


@pytest.mark.parametrize("datatype", models.KINDS)
def test_every_type_goes_there_and_back(every_type, datatype):
    if datatype == "BYTES":
        array = np.array([["a", "größer"]], dtype=object)
    elif datatype == "BF16":
        array = np.array([[0.5, -2.0]], dtype=ml_dtypes.bfloat16)
    else:
        array = np.array([[0, 1], [1, 1]]).astype(utils.triton_to_np_dtype(datatype))
    with client_module.InferenceServerClient(f"127.0.0.1:{every_type.port}") as client:
        for binary in (True, False):
            if datatype in ("FP16", "BF16") and not binary:
                continue  # the client itself sends them in binary only
            answer = client.infer(datatype, [tensor("X", array, datatype, binary)]).as_numpy("Y")
            if datatype == "BYTES":
                answer = np.array(
                    [item.decode() if isinstance(item, bytes) else item for item in answer.ravel()]
                )
                answer = answer.reshape(array.shape)
            assert answer.astype(array.dtype).tolist() == array.tolist()
