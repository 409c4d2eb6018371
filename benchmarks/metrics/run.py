"""`python benchmarks/metrics/run.py`: as `python -m benchmarks.metrics` from the repository's root."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
runpy.run_module("benchmarks.metrics", run_name="__main__")
