"""`python benchmarks/rollouts/run.py`: `python -m benchmarks.rollouts`, from anywhere."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
runpy.run_module("benchmarks.rollouts", run_name="__main__")
