"""The demo's models: scikit-learn pipelines on bundled data, exported to ONNX, good and bad."""
