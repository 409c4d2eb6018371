"""gRPC: Triton's client runs its calls, and what it would never send is refused with the path at fault."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from pathlib import Path

import grpc
import ml_dtypes
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from deploy.serving.rpc import messages

from . import models
from .support import launched, running, serving_every_type, until

CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(
        tmp_path_factory.mktemp("grpc"),
        models.labelled(),
        model_version=3,
        grpc_port=0,
        max_body_bytes=100_000,
        max_pending_bytes=50_000,
    ) as process:
        yield process


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        yield client


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name, array, datatype):
    made = triton.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array)
    return made


def both_inputs(rows=1):
    amount = np.arange(rows, dtype=np.float32).reshape(-1, 1)
    colour = np.array([[f"größer{row}"] for row in range(rows)], dtype=object)
    return [tensor("amount", amount, "FP32"), tensor("colour", colour, "BYTES")]


def test_the_committed_descriptors_are_the_proto_file_compiled(tmp_path):
    from grpc_tools import protoc

    folder, out = Path(messages.__file__).parent, tmp_path / "out"
    assert protoc.main(["", f"-I{folder}", f"--descriptor_set_out={out}", "inference.proto"]) == 0
    assert out.read_bytes() == messages.DESCRIPTORS.read_bytes()


def test_every_field_has_the_number_that_tritons_client_gives_it():
    for name, (request, response) in messages.methods().items():
        if name.startswith("RepositoryModel"):
            continue  # KServe and Triton disagree here; both are served
        method = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name[name]
        for ours, theirs in ((request, method.input_type), (response, method.output_type)):
            compare(ours.DESCRIPTOR, theirs)


def compare(ours, theirs):
    numbers = {field.name: field for field in theirs.fields}
    for field in ours.fields:
        other = numbers[field.name]
        assert (field.number, field.type) == (other.number, other.type), field.full_name
        if field.message_type is not None and field.message_type.full_name != ours.full_name:
            compare(field.message_type, other.message_type)


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", "3")
    assert client.get_server_metadata().name == "slipway-serving"
    metadata = client.get_model_metadata("m", "3", as_json=True)
    assert metadata["versions"] == ["3"]
    assert metadata["inputs"] == [
        {"name": "amount", "datatype": "FP32", "shape": ["-1", "1"]},
        {"name": "colour", "datatype": "BYTES", "shape": ["-1", "1"]},
    ]
    config = client.get_model_config("m").config
    assert (config.max_batch_size, config.input[1].data_type, list(config.input[0].dims)) == (32, 13, [1])


def test_several_inputs_and_requested_outputs_go_there_and_back(client):
    answer = client.infer(
        "m", both_inputs(3), model_version="3", request_id="r7",
        outputs=[triton.InferRequestedOutput("score"), triton.InferRequestedOutput("label")],
    )  # fmt: skip
    response = answer.get_response()
    assert (response.id, response.model_version) == ("r7", "3")
    assert [output.name for output in response.outputs] == ["score", "label"]
    assert answer.as_numpy("score").tolist() == [[0], [2], [4]]
    assert [item.decode() for item in answer.as_numpy("label").ravel()] == ["größer0", "größer1", "größer2"]


@pytest.fixture(scope="module")
def every_type(tmp_path_factory):
    with serving_every_type(tmp_path_factory.mktemp("types"), grpc_port=0) as process:
        yield process


@pytest.mark.parametrize("datatype", models.KINDS)
def test_every_type_goes_there_and_back_raw_and_typed(every_type, datatype):
    if datatype == "BYTES":
        array = np.array([["a", "ä"]], dtype=object)
    elif datatype == "BF16":
        array = np.array([[0.5, -2.0]], dtype=ml_dtypes.bfloat16)
    else:
        array = np.array([[0, 1]]).astype(_NUMPY[datatype])
    with triton.InferenceServerClient(f"127.0.0.1:{every_type.grpc_port}") as client:
        answer = client.infer(datatype, [tensor("X", array, datatype)]).as_numpy("Y")
    expected = array if datatype != "BYTES" else np.array([[b"a", "ä".encode()]], dtype=object)
    assert answer.astype(expected.dtype).tolist() == expected.tolist()
    with grpc.insecure_channel(f"127.0.0.1:{every_type.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = typed(array, datatype)
        request.model_name = datatype
        if datatype in ("FP16", "BF16"):
            refused(stub, request, CODE.INVALID_ARGUMENT, f"inputs[0].contents: {datatype} has no field here")
            return
        plain = raw(array, datatype)
        plain.model_name = datatype
        assert stub.ModelInfer(request) == stub.ModelInfer(plain)


_NUMPY = {"BOOL": "bool", "FP16": "float16", "FP32": "float32", "FP64": "float64"} | {
    name: name.lower() for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
}
_FIELDS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def typed(array, datatype, field=None):
    request = pb.ModelInferRequest(model_name="m")
    item = request.inputs.add(name="X", datatype=datatype, shape=array.shape)
    values = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
    field = field or _FIELDS.get(datatype, "fp32_contents")
    getattr(item.contents, field).extend(values)
    return request


def raw(array, datatype):
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="X", datatype=datatype, shape=array.shape)
    if datatype == "BYTES":
        parts = [value.encode() for value in array.ravel().tolist()]
        request.raw_input_contents.append(b"".join(len(part).to_bytes(4, "little") + part for part in parts))
    else:
        request.raw_input_contents.append(array.tobytes())
    return request


def refused(stub, request, code, text, **options):
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, **options)
    assert caught.value.code() is code
    assert text in caught.value.details()


def good():
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="amount", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(1)
    request.inputs.add(name="colour", datatype="BYTES", shape=[1, 1]).contents.bytes_contents.append(b"red")
    return request


def spoil(change):
    request = good()
    change(request)
    return request


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda r: setattr(r, "model_name", "x"), CODE.NOT_FOUND, "this server has the model 'm' in version '3'"),
        (lambda r: setattr(r, "model_version", "4"), CODE.NOT_FOUND, "not 'm' '4'"),
        (lambda r: setattr(r, "model_name", "x" * 50_000), CODE.NOT_FOUND, "xxx…"),
        (lambda r: r.inputs.pop(), CODE.INVALID_ARGUMENT, "inputs: the input 'colour' is missing"),
        (lambda r: setattr(r.inputs[0], "name", "z"), CODE.INVALID_ARGUMENT, "inputs[0].name: must be one of"),
        (lambda r: setattr(r.inputs[0], "datatype", "FP64"), CODE.INVALID_ARGUMENT, "inputs[0].contents.fp32"),
        (lambda r: setattr(r.inputs[0], "datatype", "X"), CODE.INVALID_ARGUMENT, "inputs[0].datatype: is not"),
        (lambda r: r.inputs[0].shape.append(2), CODE.INVALID_ARGUMENT, "inputs[0].shape: has the shape"),
        (lambda r: r.inputs[0].shape.__setitem__(0, -1), CODE.INVALID_ARGUMENT, "inputs[0].shape[0]"),
        (lambda r: r.inputs[0].contents.fp32_contents.append(2), CODE.INVALID_ARGUMENT, "inputs[0].contents"),
        (lambda r: r.inputs[0].contents.fp32_contents.__setitem__(0, float("nan")), CODE.INVALID_ARGUMENT,
         "is NaN"),
        (lambda r: r.inputs[1].contents.bytes_contents.__setitem__(0, b"\xff"), CODE.INVALID_ARGUMENT,
         "inputs[1].contents.bytes_contents[0]: is not UTF-8"),
        (lambda r: r.raw_input_contents.append(b"1234"), CODE.INVALID_ARGUMENT, "raw_input_contents: has 1"),
        (lambda r: r.raw_input_contents.extend([b"1234", b""]), CODE.INVALID_ARGUMENT, "inputs[0].contents: must"),
        (lambda r: r.outputs.add(name="z"), CODE.INVALID_ARGUMENT, "outputs[0].name: must be one of"),
        (lambda r: r.parameters["binary_data_output"].MergeFrom(pb.InferParameter(int64_param=3)),
         CODE.INVALID_ARGUMENT, "parameters.binary_data_output: must be true or false"),
    ],
)  # fmt: skip
def test_a_hostile_request_is_refused_and_the_field_is_named(stub, change, code, text):
    refused(stub, spoil(change), code, text)
    assert stub.ModelInfer(good()).outputs[1].name == "score"


def test_a_message_beyond_what_may_be_pending_is_refused_and_leaves_nothing(server, client):
    with pytest.raises(InferenceServerException) as caught:
        client.infer("m", both_inputs(rows=3000))
    assert caught.value.status() == str(CODE.UNAVAILABLE)
    assert client.infer("m", both_inputs()).as_numpy("score") is not None


def test_bytes_that_are_no_message_are_refused(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff")
        assert caught.value.code() is CODE.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\x00" * 200_000)
        assert caught.value.code() is CODE.RESOURCE_EXHAUSTED


def test_grpc_answers_are_those_of_the_runtime_and_share_batches_with_http(tmp_path):
    session = onnxruntime.InferenceSession(models.classifier(), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(5).normal(size=(20, 3)).astype(np.float32)
    with (
        running(tmp_path, models.classifier(), grpc_port=0) as process,
        triton.InferenceServerClient(f"127.0.0.1:{process.grpc_port}") as client,
    ):
        for row in rows:
            label, probabilities = session.run(None, {"X": row[None]})
            answer = client.infer("m", [tensor("X", row[None], "FP32")])
            assert answer.as_numpy("label").tobytes() == label.tobytes()
            assert answer.as_numpy("probabilities").tobytes() == probabilities.tobytes()
        process.predict(rows[0].tolist())
        text = process.get("/metrics").body.decode()
        assert 'model_predictions_total{endpoint="m",model="m",model_version="1",status="ok"} 21' in text


def test_a_deadline_ends_a_call_that_waits_and_is_counted(tmp_path):
    with running(tmp_path, models.heavy(512, 400), warmup=0, grpc_port=0) as process:
        with grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = raw(np.ones((1, 2), dtype=np.float32), "FP32")
            assert stub.ServerReady(pb.ServerReadyRequest()).ready
            refused(stub, request, CODE.DEADLINE_EXCEEDED, "", timeout=0.05)
        until(lambda: 'status="timeout"} 1' in process.get("/metrics").body.decode(), 10)


def test_keys_and_repository_apply_to_grpc_too(tmp_path):
    keys = tmp_path / "keys.json"
    hashed = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("shop", "root")}
    keys.write_text(json.dumps({"keys": [
        {"name": "shop", "sha256": hashed["shop"]}, {"name": "root", "sha256": hashed["root"], "admin": True},
    ]}))  # fmt: skip
    with (
        running(tmp_path, models.linear(), api_keys=keys, repository="on", grpc_port=0) as process,
        triton.InferenceServerClient(f"127.0.0.1:{process.grpc_port}") as client,
    ):
        inputs = [tensor("X", np.ones((1, 3), dtype=np.float32), "FP32")]
        with pytest.raises(InferenceServerException, match="an API key is needed") as caught:
            client.infer("m", inputs)
        assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
        shop, root = {"authorization": "Bearer shop"}, {"x-api-key": "root"}
        assert client.infer("m", inputs, headers=shop).as_numpy("y").tolist() == [[6.5]]
        with pytest.raises(InferenceServerException, match="admin"):
            client.unload_model("m", headers=shop)
        client.unload_model("m", headers=root)
        assert client.get_model_repository_index(headers=root).models[0].state == "UNAVAILABLE"
        with pytest.raises(InferenceServerException, match="not loaded"):
            client.infer("m", inputs, headers=shop)
        client.load_model("m", headers=root)
        assert client.infer("m", inputs, headers=shop).as_numpy("y").tolist() == [[6.5]]


def test_sigterm_under_load_fails_no_call(tmp_path):
    with running(tmp_path, models.classifier(), grpc_port=0) as process:
        stop, failures, answered = threading.Event(), [], [0] * 4

        def client(index):
            with grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}") as channel:
                stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
                request = raw(np.ones((1, 3), dtype=np.float32), "FP32")
                while not stop.is_set():
                    try:
                        stub.ModelInfer(request)
                    except grpc.RpcError as error:
                        failures.append(error.code())
                        return
                    answered[index] += 1

        threads = [threading.Thread(target=client, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: min(answered) > 10, 20)
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: process.get("/v2/health/ready").status == 503, 5)
        time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert process.popen.wait(15) == 0
        assert failures == []


def test_a_taken_grpc_port_exits_with_4(server, tmp_path):
    with launched(tmp_path, models.linear(), grpc_port=server.grpc_port) as process:
        assert process.popen.wait(20) == 4
        assert "choose another --grpc-port" in process.log.read_text()
