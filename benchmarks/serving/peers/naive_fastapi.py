"""What tutorials show: FastAPI, a pydantic model, session.run in the handler. Model path in $MODEL."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()

Row = list[float]


class Features(BaseModel):
    # The tightest type each model allows, as somebody who knows their model would write it.
    features: Row if len(session.get_inputs()[0].shape) == 2 else list[list[list[float]]]  # type: ignore[valid-type]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
async def predict(body: Features) -> dict[str, Any]:
    outputs = session.run(None, {"X": np.array([body.features], dtype=np.float32)})
    return {"outputs": [output.tolist() for output in outputs]}
