"""The ONNX Runtime model server."""

import os

# ONNX Runtime tells its makers of its use unless it is told not to, before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
