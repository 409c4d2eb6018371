"""`python benchmarks/registry/run.py`: `python -m benchmarks.registry`, from anywhere."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
runpy.run_module("benchmarks.registry", run_name="__main__")
