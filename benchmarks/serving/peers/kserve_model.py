"""An ONNX model in KServe's Python server, as documented for custom models. Path in $MODEL, port in $PORT."""

from __future__ import annotations

import logging
import os

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        feed = {item.name: item.as_numpy() for item in payload.inputs}
        arrays = self.session.run(None, feed)
        outputs = []
        for spec, array in zip(self.session.get_outputs(), arrays, strict=True):
            datatype = {"float32": "FP32", "int64": "INT64"}[str(array.dtype)]
            output = InferOutput(spec.name, list(array.shape), datatype)
            output.set_data_from_numpy(array, binary_data=False)
            outputs.append(output)
        return InferResponse(payload.id, self.name, outputs)


if __name__ == "__main__":
    server = ModelServer(http_port=int(os.environ["PORT"]), enable_grpc=False, enable_latency_logging=False)
    logging.getLogger("uvicorn.access").disabled = True
    server.start([OnnxModel("m")])
