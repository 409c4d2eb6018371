"""Runs KServe's own clients against a server: `python kserve_calls.py HTTP_PORT GRPC_PORT`; prints JSON.

Runs in the environment that `kserve.txt` describes, not in ours: nothing of Slipway can be imported here.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

TYPES = {
    "BOOL": "bool", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
    "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "FP16": "float16", "FP32": "float32",
    "FP64": "float64", "BYTES": "object",
}  # fmt: skip


def request(model, binary, arrays):
    inputs = []
    for name, datatype, array in arrays:
        item = InferInput(name, list(array.shape), datatype)
        item.set_data_from_numpy(array, binary_data=binary)
        inputs.append(item)
    return InferRequest(model_name=model, infer_inputs=inputs, request_id="r1")


def plain(array):
    return [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]


async def types(infer, binary):
    found = {}
    for datatype, dtype in TYPES.items():
        if datatype == "FP16" and not binary:
            continue  # the client itself sends it in binary only
        array = np.array([["a", "ä"]], dtype=object) if dtype == "object" else np.array([[0, 1]], dtype=dtype)
        answer = await infer(request(datatype, binary, [("X", datatype, array)]))
        found[datatype] = [
            answer.outputs[0].datatype,
            answer.outputs[0].shape,
            plain(answer.outputs[0].as_numpy()),
        ]
    return found


async def error(call):
    try:
        await call
    except Exception as caught:
        return str(caught)
    return None


async def several(infer, binary):
    arrays = [
        ("amount", "FP32", np.array([[1.5]], dtype=np.float32)),
        ("colour", "BYTES", np.array([["red"]], dtype=object)),
    ]
    answer = await infer(request("labelled", binary, arrays))
    outputs = {output.name: plain(output.as_numpy()) for output in answer.outputs}
    return {
        "id": answer.id,
        "outputs": outputs,
        "error": await error(infer(request("labelled", binary, arrays[:1]))),
    }


async def over_http(port):
    base = f"http://127.0.0.1:{port}"
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))

    async def infer(made):
        return await client.infer(base, made, model_name=made.model_name)

    found = {"live": await client.is_server_live(base), "ready": await client.is_server_ready(base)}
    found["model"] = await client.is_model_ready(base, "labelled")
    for binary in (False, True):
        found[f"types {binary}"] = await types(infer, binary)
        found[f"several {binary}"] = await several(infer, binary)
    await client.close()
    return found


async def over_grpc(port):
    client = InferenceGRPCClient(url=f"127.0.0.1:{port}", retries=0)
    found = {"live": await client.is_server_live(), "ready": await client.is_server_ready()}
    found["model"] = await client.is_model_ready("labelled")
    for binary in (False, True):
        found[f"types {binary}"] = await types(client.infer, binary)
        found[f"several {binary}"] = await several(client.infer, binary)
    await client.close()
    return found


async def main():
    http_port, grpc_port = sys.argv[1:]
    print(json.dumps({"http": await over_http(http_port), "grpc": await over_grpc(grpc_port)}))


asyncio.run(main())
