"""`python benchmarks/judge/run.py`: the same as `python -m benchmarks.judge` from the repository's root."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
runpy.run_module("benchmarks.judge", run_name="__main__")
